import { h, iconButton } from "../dom.js";

/**
 * Shows a dialog; closing it removes it.
 * @param {string} title
 * @param {Node[]} content
 * @param {{narrow?: boolean}} [options]
 * @returns {HTMLDialogElement}
 */
export function showDialog(title, content, { narrow = false } = {}) {
  const dialog = h(
    "dialog",
    { class: narrow ? "narrow" : null, "aria-labelledby": "dialog-title" },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id: "dialog-title" }, title),
      iconButton("close", "Close", { onclick: () => dialog.close() }),
    ),
    ...content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  // A click beside the dialog is one on its backdrop.
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog && !contains(dialog, event)) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before something that can't be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} action The button's label.
 * @returns {Promise<boolean>}
 */
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    let answer = false;
    const finish = (value) => {
      answer = value;
      dialog.close();
    };
    const dialog = showDialog(
      title,
      [
        h(
          "div",
          { class: "dialog-body" },
          h("p", {}, text),
          h(
            "div",
            { class: "dialog-actions" },
            h("button", { type: "button", class: "button", onclick: () => finish(false) }, "Cancel"),
            h("button", { type: "button", class: "button danger", autofocus: true, onclick: () => finish(true) }, action),
          ),
        ),
      ],
      { narrow: true },
    );
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/**
 * Asks for the server's API key.
 * @returns {Promise<string|null>} Null where the user closed the dialog.
 */
export function askForKey() {
  return new Promise((resolve) => {
    let answer = null;
    const field = h("input", {
      class: "field", type: "password", id: "key", required: true, autofocus: true, autocomplete: "off",
    });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          answer = field.value.trim();
          dialog.close();
        },
      },
      h("p", {}, "This server answers only with its API key. The key is kept in this browser."),
      h("label", { class: "labelled", for: "key" }, "API key", field),
      h("div", { class: "dialog-actions" }, h("button", { class: "button primary" }, "Continue")),
    );
    const dialog = showDialog("API key", [form], { narrow: true });
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/** Lists the keys that do something. */
export function showShortcuts() {
  const rows = [
    ["Send", "Enter"],
    ["New line", "Shift", "Enter"],
    ["Stop the answer", "Esc"],
    ["Edit the last message", "↑"],
    ["Search conversations", "Ctrl", "K"],
    ["New chat", "Ctrl", "Shift", "O"],
    ["Show or hide the list", "Ctrl", "B"],
    ["Write", "/"],
    ["This help", "?"],
  ];
  const list = h("dl", { class: "shortcuts" });
  for (const [label, ...keys] of rows) {
    const names = keys.flatMap((key) => [" ", h("kbd", {}, key)]).slice(1);
    list.append(h("dt", {}, label), h("dd", {}, ...names));
  }
  showDialog("Keyboard", [h("div", { class: "dialog-body" }, list)], { narrow: true });
}

function contains(element, { clientX, clientY }) {
  const box = element.getBoundingClientRect();
  return clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
}
