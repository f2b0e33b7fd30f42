/**
 * Listens for keys that work anywhere on the page.
 * @param {{stop: () => void, search: () => void, newChat: () => void, toggleSidebar: () => void,
 *   write: () => void, help: () => void}} actions
 */
export function listenForKeys(actions) {
  document.addEventListener("keydown", (event) => {
    // Dialogs and menus have their own keys.
    if (document.querySelector("dialog[open], :popover-open")) return;
    const action = actions[actionOf(event)];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function actionOf(event) {
  const key = event.key.toLowerCase();
  if (key === "escape") return "stop";
  if (event.ctrlKey || event.metaKey) {
    if (event.altKey) return null;
    if (event.shiftKey) return key === "o" ? "newChat" : null;
    return { k: "search", b: "toggleSidebar" }[key];
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  return typing ? null : { "/": "write", "?": "help" }[key];
}
