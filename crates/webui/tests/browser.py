"""Tests of the page in a browser: `scripts/test-webui` runs them."""

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from mock_server import MockServer
from playwright.sync_api import Browser, Page, expect, sync_playwright

FIRST_PAINT_MS = 1000
# A long task freezes the page; these are for 2 slow cores.
HUGE_ANSWER_MS = 20_000

TESTS = []


def test(mock=None, size=(1280, 840), scheme="light", errors=(), phone=False):
    """Registers a test. `mock` has arguments for the mock server, and the test runs only against that;
    `errors` are patterns of messages that the browser may log."""

    def register(function):
        TESTS.append((function, dict(mock=mock, size=size, scheme=scheme, errors=errors, phone=phone)))
        return function

    return register


class Ui:
    """The page, as a user sees it."""

    def __init__(self, page: Page, url: str, server: MockServer | None, screenshots: Path):
        self.page = page
        self.url = url
        self.server = server
        self.screenshots = screenshots
        self.field = page.get_by_role("textbox", name="Message", exact=True)
        self.stop_button = page.get_by_role("button", name="Stop", exact=True)
        self.answers = page.locator(".message.assistant")
        self.questions = page.locator(".message.user")
        self.conversations = page.locator(".conversation")

    def open(self):
        self.page.goto(self.url)
        expect(self.field).to_be_visible()

    def send(self, text: str):
        self.field.fill(text)
        self.field.press("Enter")
        # The field is emptied at once; the message is shown when it is stored.
        expect(self.questions.filter(has_text=text[:40]).last).to_be_visible()

    def finished(self):
        expect(self.page.locator("#thread")).to_have_attribute("aria-busy", "false", timeout=60_000)
        expect(self.stop_button).to_have_count(0)

    def ask(self, text: str) -> str:
        before = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(before + 1)
        self.finished()
        return self.answers.last.locator(".prose").last.inner_text()

    def menu(self, title: str, item: str):
        row = self.conversations.filter(has_text=title).first
        row.hover()
        row.get_by_role("button", name="More for").click()
        self.page.get_by_role("menuitem", name=item).click()

    def screenshot(self, name: str):
        self.screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def stored(self) -> int:
        """How many messages the browser keeps."""
        return self.page.evaluate(
            """() => new Promise((resolve) => {
                const open = indexedDB.open("llamafile");
                open.onsuccess = () => {
                    const count = open.result.transaction("messages").objectStore("messages").count();
                    count.onsuccess = () => { open.result.close(); resolve(count.result); };
                };
            })"""
        )


@test()
def first_paint(ui: Ui):
    ui.open()
    ui.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    paint = ui.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"    first paint after {paint:.0f} ms")
    assert paint < FIRST_PAINT_MS, f"first paint took {paint} ms"
    expect(ui.page.get_by_role("heading", level=1)).to_contain_text("Chat with")
    assert ui.page.locator(".examples button").count() == 4
    ui.screenshot("empty")


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


@test()
def themes(ui: Ui):
    ui.open()

    def brightness():
        colour = ui.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness() > 600
    ui.page.get_by_role("button", name="Light or dark").click()
    assert brightness() < 150
    ui.page.reload()
    assert brightness() < 150
    ui.ask("Hello in the dark")
    ui.screenshot("dark")
    ui.page.get_by_role("button", name="Settings").click()
    ui.page.get_by_text("System", exact=True).click()
    assert brightness() > 600
    ui.page.keyboard.press("Escape")


@test(scheme="dark")
def system_theme(ui: Ui):
    ui.open()
    colour = ui.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(26, 24, 23)", colour


@test(size=(390, 844), phone=True)
def phone(ui: Ui):
    ui.open()
    ui.field.fill("Hello from a phone")
    ui.page.get_by_role("button", name="Send").tap()
    expect(ui.answers).to_have_count(1)
    ui.finished()
    assert ui.page.evaluate("document.documentElement.scrollWidth") <= 390
    size = ui.page.evaluate("parseFloat(getComputedStyle(document.getElementById('prompt')).fontSize)")
    assert size >= 16, "phones zoom in on small fields"
    expect(ui.page.locator("#sidebar")).not_to_be_visible()
    ui.screenshot("phone")
    ui.page.get_by_role("button", name="Conversations").tap()
    expect(ui.conversations).to_be_visible()
    ui.page.wait_for_timeout(300)
    ui.screenshot("phone-list")
    ui.page.locator("#backdrop").tap(position={"x": 370, "y": 400})
    expect(ui.page.locator("#sidebar")).not_to_be_visible()
    ui.field.fill("one line")
    ui.field.press("Enter")
    expect(ui.questions).to_have_count(1)


@test()
def keyboard(ui: Ui):
    ui.open()
    expect(ui.field).to_be_focused()
    ui.field.fill("one")
    ui.field.press("Shift+Enter")
    ui.field.type("two")
    assert ui.field.input_value() == "one\ntwo"
    assert ui.questions.count() == 0
    ui.field.fill("")
    ui.page.locator("h1").click()
    ui.page.keyboard.press("?")
    expect(ui.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    ui.page.keyboard.press("Escape")
    expect(ui.page.get_by_role("dialog")).to_have_count(0)
    ui.page.keyboard.press("/")
    expect(ui.field).to_be_focused()
    ui.page.keyboard.press("Control+B")
    expect(ui.page.locator("#sidebar")).not_to_be_visible()
    ui.page.keyboard.press("Control+B")
    expect(ui.page.locator("#sidebar")).to_be_visible()


@test()
def every_control_has_a_name(ui: Ui):
    ui.open()
    ui.ask("Check the names")
    ui.page.get_by_role("button", name="Settings").click()
    unnamed = ui.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
            .filter((element) => element.checkVisibility() && !element.textContent.trim()
                && !element.ariaLabel && !element.labels?.length)
            .map((element) => element.outerHTML)"""
    )
    assert not unnamed, unnamed


@test(mock=[])
def contrast(ui: Ui):
    ui.open()
    ui.ask("think of a showcase")
    for theme in ("light", "dark"):
        ui.page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        ui.page.wait_for_timeout(300)
        weak = ui.page.evaluate(WEAK_TEXT)
        assert not weak, (theme, weak)


# Texts with a contrast below 4.5 to the nearest background.
WEAK_TEXT = """() => {
    const channels = (colour) => {
        const context = new OffscreenCanvas(1, 1).getContext("2d");
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => {
        const [r, g, b] = channels(colour).slice(0, 3).map((value) => value / 255)
            .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (channels(colour)[3] > 0) return colour;
        }
    };
    const weak = [];
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!text || !element.checkVisibility({ opacityProperty: true })) continue;
        const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) weak.push([element.className, element.textContent.slice(0, 30), contrast]);
    }
    return weak;
}"""


@test(mock=[])
def markdown(ui: Ui):
    ui.open()
    ui.ask("showcase")
    prose = ui.answers.last.locator(".prose").last
    assert prose.locator("h3").inner_text() == "A showcase"
    for selector, count in {
        "strong": 1, "em": 1, "del": 1, "ul > li": 5, "ol > li": 2, "blockquote": 1, "td": 4,
        "input[type=checkbox]": 2, "math": 4, "msqrt": 1, ".math-display": 2,
        "a[href='https://example.org/reference']": 1, ".hljs-keyword": 2, ".hljs-comment": 1,
    }.items():
        assert prose.locator(selector).count() == count, (selector, prose.locator(selector).count())
    expect(prose).to_contain_text("AT&T & an entity ©. It costs $5 and not $7.")
    whole = prose.evaluate("(element) => element.innerHTML")
    ui.page.reload()
    expect(prose.locator("math")).to_have_count(4)
    assert prose.evaluate("(element) => element.innerHTML") == whole, "streamed and whole differ"
    ui.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    prose.get_by_role("button", name="Copy").click()
    assert ui.page.evaluate("navigator.clipboard.readText()").startswith("def greet(name: str)")
    ui.screenshot("markdown")


@test(mock=[])
def thinking_is_folded(ui: Ui):
    ui.open()
    ui.send("think, then slow")
    expect(ui.page.get_by_text("Thinking…")).to_be_visible()
    expect(ui.page.get_by_text("Thought for")).to_be_visible(timeout=10_000)
    expect(ui.page.get_by_text("First I consider it.")).to_have_count(0)
    ui.page.get_by_text("Thought for").click()
    expect(ui.page.get_by_text("First I consider it.")).to_be_visible()
    ui.screenshot("thinking")
    ui.page.keyboard.press("Escape")
    ui.finished()


@test(mock=[])
def hostile_answer_is_harmless(ui: Ui):
    ui.open()
    ui.ask("hostile")
    prose = ui.answers.last.locator(".prose").last
    for tag in ("script", "img", "svg", "iframe", "form", "style", "base", "object"):
        # Icons of copy buttons are the page's own.
        assert prose.locator(f"{tag}:not(.icon)").count() == 0, tag
    for link in prose.locator("a").all():
        assert re.match("(https?|mailto):", link.get_attribute("href")), link.get_attribute("href")
        assert "noopener" in link.get_attribute("rel")
    handlers = prose.evaluate(
        """(element) => [...element.querySelectorAll("*")]
            .flatMap(({ attributes }) => [...attributes].map(({ name }) => name))
            .filter((name) => name.startsWith("on"))"""
    )
    assert not handlers, handlers
    expect(prose).to_contain_text("<script>window.hacked = 1</script>")
    ui.page.wait_for_timeout(300)
    assert ui.page.evaluate("window.hacked") is None
    assert ui.page.evaluate("Object.keys(Object.prototype).length") == 0
    ui.page.reload()
    expect(prose).to_contain_text("<script>window.hacked = 1</script>")
    assert ui.page.evaluate("window.hacked") is None


@test(mock=[])
def huge_answer_does_not_freeze(ui: Ui):
    ui.open()
    start = time.monotonic()
    ui.send("huge")
    ui.finished()
    elapsed = (time.monotonic() - start) * 1000
    print(f"    {elapsed:.0f} ms")
    assert elapsed < HUGE_ANSWER_MS, elapsed
    assert len(ui.answers.last.inner_text()) > 100_000


@test(mock=[])
def long_answers_take_linear_time(ui: Ui):
    """From half of a long text on, rendering takes about as long as up to there."""
    ui.open()
    first, second = ui.page.evaluate(
        """async () => {
            const { LiveMarkdown } = await import("./js/live-markdown.js");
            const live = new LiveMarkdown(document.createElement("div"));
            const text = "Some *words* and `code`, again.\\n\\n".repeat(4000);
            const until = (start, end) => {
                const time = performance.now();
                for (let length = start; length < end; length += 100) {
                    live.source = text.slice(0, length);
                    live.render();
                }
                return performance.now() - time;
            };
            return [until(0, text.length / 2), until(text.length / 2, text.length)];
        }"""
    )
    print(f"    {first:.0f} and {second:.0f} ms")
    assert second < 2.5 * first, (first, second)


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
    ui.send("please break off in the middle of this longer message")
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


@test(mock=["--load-seconds", "2"], errors=["503"])
def waits_for_the_model(ui: Ui):
    ui.open()
    expect(ui.page.get_by_text("Waiting for the server…")).to_be_visible()
    expect(ui.page.get_by_text("Waiting for the server…")).to_have_count(0, timeout=10_000)
    assert "You said" in ui.ask("Are you there")


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


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)


def run(browser: Browser, function, options: dict, arguments: argparse.Namespace):
    """Runs one test in a fresh profile; raises where it fails."""
    server = None
    url = arguments.url
    if url is None:
        server = MockServer(options["mock"] or [])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = server.url
    width, height = options["size"]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=options["scheme"],
        has_touch=options["phone"],
        is_mobile=options["phone"],
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    problems = []
    origin = urlsplit(url)[:2]

    def log(message):
        if message.type in ("error", "warning") and not any(
            re.search(pattern, message.text) for pattern in options["errors"]
        ):
            problems.append(f"{message.type}: {message.text}")

    def request(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts[:2] != origin:
            problems.append(f"request to {request.url}")

    page.on("console", log)
    page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
    page.on("request", request)
    if arguments.key:
        settings = json.dumps(json.dumps({"key": arguments.key}))
        page.add_init_script(f"localStorage.getItem('llamafile.settings') ?? localStorage.setItem('llamafile.settings', {settings})")
    ui = Ui(page, url, server, Path(os.environ.get("WEBUI_SCREENSHOTS", tempfile.gettempdir())))
    try:
        function(ui)
        assert not problems, problems
    except BaseException:
        ui.screenshot(f"failed-{function.__name__}")
        raise
    finally:
        context.close()
        if server:
            server.shutdown()
            server.server_close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Drives the web UI in headless Chromium.")
    parser.add_argument("--url", help="of a real server; without it a mock is used")
    parser.add_argument("--key", help="the real server's API key")
    parser.add_argument("names", nargs="*", help="tests to run; without them all")
    arguments = parser.parse_args()
    known = {function.__name__ for function, _ in TESTS}
    if unknown := set(arguments.names) - known:
        parser.error(f"no test is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = [
        (function, options)
        for function, options in TESTS
        if (not arguments.names or function.__name__ in arguments.names)
        and (arguments.url is None or options["mock"] is None)
    ]
    failed = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"),
            # Chromium's own sandbox does not work for root.
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        for function, options in chosen:
            start = time.monotonic()
            try:
                run(browser, function, options, arguments)
            except Exception:
                failed.append(function.__name__)
                traceback.print_exc()
            verdict = "FAILED" if function.__name__ in failed else "ok"
            print(f"{verdict:6} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        browser.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
