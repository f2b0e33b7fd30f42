"""What tests of the page share: the list of them, and the page as a user sees it."""

from pathlib import Path

from mock_server import MockServer
from playwright.sync_api import Page, expect

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
        expect(self.page.locator("#thread")).to_have_attribute("aria-busy", "false", timeout=120_000)
        expect(self.stop_button).to_have_count(0)

    def ask(self, text: str) -> str:
        before = self.answers.count()
        self.send(text)
        expect(self.answers).to_have_count(before + 1)
        self.finished()
        return self.answers.last.locator(".prose").last.text_content()

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
