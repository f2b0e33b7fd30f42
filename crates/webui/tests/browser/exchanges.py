"""What is sent to the server, and what it answers instead of words."""

import json

from playwright.sync_api import expect
from ui import Ui, test

# A picture of one pixel, as PNG.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c494441"
    "54789c6358ec210300029901083c87aca40000000049454e44ae426082"
)


@test(mock=[], errors=["500"])
def errors_can_be_retried(ui: Ui):
    ui.open()
    ui.send("please fail")
    expect(ui.page.get_by_role("alert")).to_contain_text("The mock fails once")
    ui.screenshot("error")
    ui.page.get_by_role("button", name="Try again").click()
    expect(ui.answers.last).to_contain_text("You said: please fail")
    ui.finished()
    expect(ui.page.get_by_role("alert")).to_have_count(0)
    assert ui.answers.count() == 1 and ui.stored() == 2


@test(mock=[])
def errors_in_the_stream(ui: Ui):
    ui.open()
    ui.send("please break off in the middle of this sentence")
    expect(ui.page.get_by_role("alert")).to_contain_text("The mock breaks off")
    expect(ui.answers.last).to_contain_text("You said:")


@test(mock=["--key", "sesame"], errors=["401"])
def key_is_asked_for(ui: Ui):
    ui.open()
    dialog = ui.page.get_by_role("dialog", name="API key")
    dialog.get_by_label("API key", exact=True).fill("wrong")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog).to_have_count(1)
    expect(dialog.get_by_label("API key", exact=True)).to_have_value("")
    dialog.get_by_label("API key", exact=True).fill("sesame")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog).to_have_count(0)
    assert "You said" in ui.ask("Open the door")
    ui.page.reload()
    expect(ui.answers).to_have_count(1)
    expect(dialog).to_have_count(0)


@test(mock=["--load-seconds", "6"], errors=["503"])
def waits_for_the_model(ui: Ui):
    ui.open()
    expect(ui.page.get_by_text("Waiting for the server…")).to_be_visible()
    expect(ui.page.get_by_text("Waiting for the server…")).to_have_count(0, timeout=15_000)
    assert "You said" in ui.ask("Are you there")


@test(mock=["--load-seconds", "1000"], errors=["503"])
def notices_outlast_the_wait_for_the_model(ui: Ui):
    ui.open()
    expect(ui.page.get_by_text("Waiting for the server…")).to_be_visible()
    ui.page.locator("#composer input[type=file]").set_input_files(
        {"name": "program", "mimeType": "", "buffer": b"\x7fELF\x00\xff"}
    )
    notice = ui.page.locator("#notice")
    expect(notice).to_contain_text("program is not a text file")
    ui.server.ready_at = 0
    expect(ui.page.locator(".model")).not_to_be_empty()
    expect(notice).to_contain_text("program is not a text file")


@test(mock=["--models", "first.gguf,second.gguf"])
def models_can_be_chosen(ui: Ui):
    ui.open()
    choice = ui.page.get_by_role("combobox", name="Model")
    expect(choice).to_have_value("first.gguf")
    choice.select_option("second.gguf")
    expect(ui.page.get_by_role("heading", level=1)).to_have_text("Chat with second")
    assert '"model": "second.gguf"' in ui.ask("show the request")
    ui.page.reload()
    expect(choice).to_have_value("second.gguf")


@test(mock=[])
def samplers_and_system_prompt_are_sent(ui: Ui):
    ui.open()
    ui.page.get_by_role("button", name="Settings").click()
    temperature = ui.page.get_by_label("Temperature", exact=False).first
    assert temperature.get_attribute("placeholder") == "0.8"
    temperature.fill("0.25")
    ui.page.get_by_text("More sampling").click()
    ui.page.locator("[data-sampler=dry_multiplier]").fill("0.8")
    ui.page.locator("[data-sampler=xtc_probability]").fill("7")
    ui.screenshot("settings")
    ui.page.keyboard.press("Escape")
    ui.page.get_by_role("button", name="System prompt").click()
    dialog = ui.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="System prompt").fill("Be a pirate.")
    dialog.get_by_role("textbox", name="Name of the prompt").fill("Pirate")
    dialog.get_by_role("button", name="Save this prompt").click()
    ui.screenshot("system-prompt")
    dialog.get_by_role("button", name="Use", exact=True).click()
    request = json.loads(ui.ask("show the request").split("Copy", 1)[1])
    assert request["temperature"] == 0.25 and request["dry_multiplier"] == 0.8
    assert "xtc_probability" not in request, "7 is no probability"
    assert request["messages"][0] == {"role": "system", "content": "Be a pirate."}
    assert request["stream"] and request["stream_options"] == {"include_usage": True}

    ui.page.keyboard.press("Control+Shift+O")
    ui.page.get_by_role("button", name="System prompt").click()
    assert dialog.get_by_role("textbox", name="System prompt").input_value() == ""
    dialog.get_by_role("button", name="Insert Pirate").click()
    assert dialog.get_by_role("textbox", name="System prompt").input_value() == "Be a pirate."


@test(mock=[])
def text_files_are_inlined(ui: Ui):
    ui.open()
    files = ui.page.locator("#composer input[type=file]")
    files.set_input_files(
        [
            {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# Notes\n```\ncode\n```"},
            {"name": "photo.png", "mimeType": "image/png", "buffer": PIXEL},
            {"name": "program", "mimeType": "", "buffer": b"\x7fELF\x00\xff"},
        ]
    )
    expect(ui.page.locator("#composer .attachment")).to_have_count(1)
    expect(ui.page.locator("#notice")).to_contain_text("program is not a text file")
    request = json.loads(ui.ask("show the request").split("Copy", 1)[1])
    content = request["messages"][0]["content"]
    assert content == "notes.md:\n````\n# Notes\n```\ncode\n```\n````\n\nshow the request", content
    expect(ui.questions.last.locator(".attachment")).to_have_text("notes.md")


@test(mock=["--vision"])
def images_are_sent_to_models_that_see(ui: Ui):
    ui.open()
    # Until then the page doesn't know what the model can do.
    ui.page.wait_for_load_state("networkidle")
    ui.page.locator("#composer input[type=file]").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": PIXEL}
    )
    expect(ui.page.locator("#composer .attachment img")).to_have_count(1)
    request = json.loads(ui.ask("show the request").split("Copy", 1)[1])
    image, text = request["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert text == {"type": "text", "text": "show the request"}
    ui.page.reload()
    expect(ui.questions.last.locator("img")).to_have_count(1)


@test(mock=["--prefix", "/behind/a/proxy"])
def works_behind_a_prefix(ui: Ui):
    ui.open()
    assert "You said" in ui.ask("Is the prefix kept")
