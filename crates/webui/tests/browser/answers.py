"""What answers become, well-meant and hostile."""

import re
import time

from playwright.sync_api import expect
from ui import Ui, test

HUGE_ANSWER_MS = 20_000


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
