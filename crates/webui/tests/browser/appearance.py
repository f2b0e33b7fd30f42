"""Paint, themes, phones, keys, people who see or hear the page otherwise."""

import re

from playwright.sync_api import expect
from ui import Ui, test

FIRST_PAINT_MS = 1000

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


@test(mock=["--models", f"{'long-' * 12}name.gguf,other.gguf"], size=(320, 600), phone=True)
def narrow_phone(ui: Ui):
    ui.open()
    expect(ui.page.get_by_role("combobox", name="Model")).to_be_visible()
    ui.field.fill("showcase")
    ui.page.get_by_role("button", name="Send").tap()
    expect(ui.answers).to_have_count(1)
    ui.finished()
    # What is too wide makes phones lay out a wider page.
    assert ui.page.evaluate("innerWidth") == 320
    ui.page.get_by_role("button", name="Conversations").tap()
    ui.page.get_by_role("button", name="Settings").tap()
    expect(ui.page.get_by_role("dialog")).to_be_visible()
    assert ui.page.evaluate("innerWidth") == 320
    ui.screenshot("phone-settings")


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
