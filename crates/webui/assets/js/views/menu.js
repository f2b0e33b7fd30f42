import { h } from "../dom.js";

/**
 * Shows a menu below a button, until something is chosen or the user clicks elsewhere.
 * @param {HTMLElement} button
 * @param {Array<{label: string, danger?: boolean, action: () => void}>} items
 */
export function showMenu(button, items) {
  const menu = h(
    "div",
    { class: "menu", popover: "auto", role: "menu" },
    ...items.map(({ label, danger, action }) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          class: danger ? "danger" : null,
          onclick: () => {
            menu.hidePopover();
            action();
          },
        },
        label,
      ),
    ),
  );
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "closed") menu.remove();
  });
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...menu.children];
    const index = buttons.indexOf(document.activeElement) + step;
    buttons.at(index % buttons.length).focus();
  });
  // Beside the button, so that focus goes back there.
  button.after(menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  menu.firstElementChild.focus();
}

function place(menu, button) {
  const { width, height } = menu.getBoundingClientRect();
  const below = button.bottom + 4;
  menu.style.top = `${below + height < innerHeight ? below : button.top - height - 4}px`;
  menu.style.left = `${Math.max(8, Math.min(button.right - width, innerWidth - width - 8))}px`;
}
