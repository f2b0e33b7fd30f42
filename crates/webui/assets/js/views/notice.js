import { fill, h } from "../dom.js";

/** How long a notice stays, in milliseconds. */
const DURATION = 6000;

let timer = 0;

/**
 * Shows a line above the conversation.
 * @param {string} text
 * @param {{action?: string, onaction?: () => void, stays?: boolean}} [options] A button to offer;
 *   whether the line stays until `hideNotice`.
 */
export function showNotice(text, { action, onaction, stays = false } = {}) {
  clearTimeout(timer);
  const button = action ?? (stays ? null : "Dismiss");
  fill(
    document.getElementById("notice"),
    h(
      "div",
      { class: button ? "notice" : "notice waiting" },
      h("span", {}, text),
      button &&
        h(
          "button",
          {
            type: "button",
            class: "quiet-button",
            onclick: () => {
              hideNotice();
              onaction?.();
            },
          },
          button,
        ),
    ),
  );
  if (!stays) timer = setTimeout(hideNotice, DURATION);
}

/** Takes the line away. */
export function hideNotice() {
  clearTimeout(timer);
  fill(document.getElementById("notice"));
}
