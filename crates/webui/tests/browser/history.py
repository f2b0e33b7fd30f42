"""What the browser keeps."""

import json
import re
from pathlib import Path

from playwright.sync_api import expect
from ui import Ui, test


@test()
def reload_keeps_history(ui: Ui):
    ui.open()
    answer = ui.ask("Remember the walrus")
    ui.page.reload()
    expect(ui.questions).to_have_text(re.compile("Remember the walrus"))
    expect(ui.answers.last.locator(".prose").last).to_have_text(answer.strip())
    ui.page.keyboard.press("Control+Shift+O")
    expect(ui.questions).to_have_count(0)
    ui.conversations.get_by_text("Remember the walrus").click()
    expect(ui.questions).to_have_count(1)
    ui.page.go_back()
    expect(ui.questions).to_have_count(0)


@test(mock=[])
def reload_keeps_half_an_answer(ui: Ui):
    ui.open()
    ui.send("slow please")
    ui.page.wait_for_timeout(2500)
    ui.page.reload()
    expect(ui.answers.last.locator(".prose").last).to_contain_text("word")
    expect(ui.stop_button).to_have_count(0)


@test()
def search(ui: Ui):
    ui.open()
    ui.ask("A question on elephants")
    ui.page.keyboard.press("Control+Shift+O")
    ui.ask("A question on giraffes")
    expect(ui.conversations).to_have_count(2)
    ui.page.keyboard.press("Control+K")
    box = ui.page.get_by_role("searchbox")
    expect(box).to_be_focused()
    box.fill("ELEPH")
    expect(ui.conversations).to_have_count(1)
    expect(ui.conversations.first).to_contain_text("elephants")
    expect(ui.conversations.locator(".excerpt")).to_contain_text("elephants")
    box.fill("nothing has this")
    expect(ui.page.get_by_text("Nothing found.")).to_be_visible()
    box.press("Escape")
    expect(ui.conversations).to_have_count(2)


@test()
def rename_and_delete(ui: Ui):
    ui.open()
    ui.ask("The first title")
    ui.menu("The first title", "Rename")
    ui.page.get_by_role("textbox", name="Title").fill("Another title")
    ui.page.keyboard.press("Enter")
    expect(ui.conversations).to_have_text(re.compile("Another title"))
    ui.page.reload()
    expect(ui.conversations).to_have_text(re.compile("Another title"))
    ui.menu("Another title", "Delete")
    ui.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(ui.conversations).to_have_count(0)
    expect(ui.questions).to_have_count(0)
    assert ui.stored() == 0


@test()
def export_and_import(ui: Ui):
    ui.open()
    answer = ui.ask("Export me")
    with ui.page.expect_download() as download:
        ui.menu("Export me", "Export")
    exported = json.loads(Path(download.value.path()).read_text())
    assert [message["role"] for message in exported["conversations"][0]["messages"]] == ["user", "assistant"]
    assert exported["conversations"][0]["messages"][0]["content"] == "Export me"
    ui.page.keyboard.press("Control+Shift+O")
    ui.ask("And me")

    ui.page.get_by_role("button", name="Settings").click()
    with ui.page.expect_download() as download:
        ui.page.get_by_role("button", name="Export all").click()
    file = Path(download.value.path())
    assert len(json.loads(file.read_text())["conversations"]) == 2
    ui.page.get_by_role("button", name="Delete all").click()
    ui.page.get_by_role("dialog").last.get_by_role("button", name="Delete all").click()
    expect(ui.conversations).to_have_count(0)
    assert ui.stored() == 0

    ui.page.locator("#import").set_input_files(
        {"name": "all.json", "mimeType": "application/json", "buffer": file.read_bytes()}
    )
    expect(ui.conversations).to_have_count(2)
    ui.conversations.get_by_text("Export me").click()
    expect(ui.answers.last.locator(".prose").last).to_have_text(answer.strip())


@test()
def hostile_imports(ui: Ui):
    ui.open()
    message = {"id": "1", "role": "user", "content": "x", "parent": None}

    def file(*messages):
        conversation = {"title": "t", "messages": list(messages)}
        return json.dumps({"format": "llamafile-conversations", "version": 1, "conversations": [conversation]})

    image = {"kind": "image", "name": "a", "url": "https://attacker.example/a.png"}
    for text in (
        "{",
        "null",
        "[]",
        '{"format":"llamafile-conversations","version":1,"conversations":[null]}',
        '{"format":"llamafile-conversations","version":2,"conversations":[]}',
        file(message | {"parent": "1"}),
        file(message | {"role": "system"}),
        file(message | {"content": {}}),
        file(message | {"attachments": [image]}),
        file(message | {"attachments": [None]}),
    ):
        ui.page.get_by_role("button", name="Settings").click()
        ui.page.locator("#import").set_input_files(
            {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()}
        )
        expect(ui.page.get_by_role("alert")).not_to_be_empty()
        ui.page.get_by_role("dialog").last.get_by_role("button", name="Close").click()
        ui.page.keyboard.press("Escape")
        expect(ui.page.get_by_role("dialog")).to_have_count(0)
    assert ui.stored() == 0
    expect(ui.conversations).to_have_count(0)
