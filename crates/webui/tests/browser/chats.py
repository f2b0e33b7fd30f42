"""Asking, answers, branches."""

import re
import time

from playwright.sync_api import expect
from ui import Ui, test


@test()
def chat(ui: Ui):
    ui.open()
    answer = ui.ask("Hello there")
    assert answer.strip(), "the answer is empty"
    expect(ui.answers.last.locator(".speed")).to_contain_text("t/s")
    expect(ui.page.locator("#figures")).to_contain_text(re.compile(r"[1-9][\d,]* of [\d,]+ tokens"))
    assert ui.page.title().startswith("Hello there")
    ui.ask("And once more")
    assert ui.questions.count() == 2


@test(mock=[])
def stream_is_shown_as_it_comes(ui: Ui):
    ui.open()
    ui.send("slow please")
    prose = ui.answers.last.locator(".prose").last
    expect(prose).to_contain_text("word")
    first = len(prose.inner_text())
    ui.page.wait_for_timeout(500)
    later = len(prose.inner_text())
    assert first < later < 2000, (first, later)
    expect(ui.page.locator("#figures")).to_contain_text("t/s")
    ui.page.keyboard.press("Escape")
    ui.finished()


@test()
def stop(ui: Ui):
    ui.open()
    ui.send("slow: write a very long story about a lighthouse")
    expect(ui.answers.last.locator(".prose").last).not_to_be_empty(timeout=30_000)
    ui.stop_button.click()
    ui.finished()
    expect(ui.answers.last).to_contain_text("Stopped.")
    if ui.server:
        deadline = time.monotonic() + 5
        while not ui.server.aborted and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ui.server.aborted == 1, "the server was not told"


@test()
def escape_stops(ui: Ui):
    ui.open()
    ui.send("slow: count to a thousand, in words")
    expect(ui.answers.last.locator(".prose").last).not_to_be_empty(timeout=30_000)
    ui.page.keyboard.press("Escape")
    ui.finished()
    expect(ui.answers.last).to_contain_text("Stopped.")


@test()
def edit_makes_a_branch(ui: Ui):
    ui.open()
    ui.ask("What is one plus one?")
    ui.questions.first.hover()
    ui.questions.first.get_by_role("button", name="Edit message").click()
    editor = ui.page.get_by_role("textbox", name="Edit message")
    editor.fill("What is two plus two?")
    ui.page.locator(".editor").get_by_role("button", name="Send").click()
    expect(ui.questions).to_have_text(re.compile("two plus two"))
    ui.finished()
    expect(ui.questions.first.locator(".branches")).to_contain_text("2/2")
    ui.questions.first.get_by_role("button", name="Previous alternative").click()
    expect(ui.questions.first).to_contain_text("one plus one")
    expect(ui.questions.first.locator(".branches")).to_contain_text("1/2")
    assert ui.answers.count() == 1


@test()
def regenerate_makes_a_branch(ui: Ui):
    ui.open()
    ui.ask("Say something short")
    for number in (2, 3):
        ui.answers.last.hover()
        ui.answers.last.get_by_role("button", name="Regenerate answer").click()
        expect(ui.page.locator("#thread")).to_have_attribute("aria-busy", "true")
        ui.finished()
        expect(ui.answers.last.locator(".branches")).to_contain_text(f"{number}/{number}")
    ui.answers.last.get_by_role("button", name="Previous alternative").click()
    expect(ui.answers.last.locator(".branches")).to_contain_text("2/3")
    ui.page.reload()
    expect(ui.answers.last.locator(".branches")).to_contain_text("2/3")
    ui.screenshot("branches")


@test()
def arrow_up_edits_the_last_message(ui: Ui):
    ui.open()
    ui.ask("Tell me a word")
    ui.field.press("ArrowUp")
    editor = ui.page.get_by_role("textbox", name="Edit message")
    expect(editor).to_be_focused()
    editor.press("Escape")
    expect(ui.questions.first).to_contain_text("Tell me a word")


@test(mock=[])
def answers_go_on_in_other_conversations(ui: Ui):
    ui.open()
    ui.send("slow please")
    expect(ui.answers.last).to_contain_text("word")
    ui.page.keyboard.press("Control+Shift+O")
    ui.ask("quick one")
    ui.conversations.get_by_text("slow please").click()
    expect(ui.stop_button).to_be_visible()
    prose = ui.answers.last.locator(".prose").last
    before = len(prose.inner_text())
    ui.page.wait_for_timeout(500)
    assert len(prose.inner_text()) > before
    ui.stop_button.click()
    ui.finished()
