import { fill, h } from "../dom.js";

/** How long a notice stays, in milliseconds. */
const DURATION = 6000;

let timer = 0;

/** Whether the shown line stays until it is taken away. */
let staying = false;

/**
 * Shows a line above the conversation.
 * @param {string} text
 * @param {{action?: string, onaction?: () => void, stays?: boolean}} [options] A button to offer;
 *   whether the line stays until `hideNotice`.
 */
export function showNotice(text, { action, onaction, stays = false } = {}) {
  clearTimeout(timer);
  staying = stays;
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
              clear();
              onaction?.();
            },
          },
          button,
        ),
    ),
  );
  if (!stays) timer = setTimeout(clear, DURATION);
}

/** Takes a line that stays away; others are left for people to read. */
export function hideNotice() {
  if (staying) clear();
}

function clear() {
  clearTimeout(timer);
  staying = false;
  fill(document.getElementById("notice"));
}
