const SVG = "http://www.w3.org/2000/svg";

/**
 * Creates an element.
 * @param {string} tag
 * @param {Record<string, any>} [properties] Attributes; `onclick` and the like are listeners; false,
 *   null and undefined leave an attribute out, true sets it empty.
 * @param {...any} children Nodes, strings and arrays of them; null, false and undefined are left out.
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/**
 * Replaces an element's children; null, false and undefined are left out.
 * @param {Element} element
 * @param {...any} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

function present(children) {
  return children.flat().filter((child) => child !== null && child !== false && child !== undefined);
}

/**
 * Creates a line icon.
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", `icon icon-${name}`], ["aria-hidden", "true"]]) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * Creates a button that shows only an icon.
 * @param {keyof typeof PATHS} name
 * @param {string} label Its accessible name and tooltip.
 * @param {Record<string, any>} [properties]
 * @returns {HTMLElement}
 */
export function iconButton(name, label, properties = {}) {
  const { class: extra = "", ...rest } = properties;
  return h(
    "button",
    { type: "button", class: `icon-button ${extra}`.trim(), "aria-label": label, title: label, ...rest },
    icon(name),
  );
}

/** Strokes of the icons, on a grid of 24. */
const PATHS = {
  attach: "M19.5 11.5l-7.8 7.8a5 5 0 0 1-7-7l8.3-8.4a3.4 3.4 0 0 1 4.8 4.8L9.6 17a1.7 1.7 0 0 1-2.4-2.4l7.3-7.3",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10.5v10.5H9zM15 9V4.5H4.5V15H9",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4.5 19.5l1-4.2L15.8 5a2 2 0 0 1 2.9 0l.3.3a2 2 0 0 1 0 2.9L8.7 18.5zM13.7 7.1l3.2 3.2",
  file: "M6.5 3.5h7.5l4 4v13H6.5zM13.5 3.5v4.5H18",
  menu: "M4.5 8h15M4.5 16h15",
  moon: "M19.5 14.3A8 8 0 0 1 9.7 4.5a8 8 0 1 0 9.8 9.8z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  next: "M10 6.5l5.5 5.5-5.5 5.5",
  plus: "M12 5v14M5 12h14",
  previous: "M14 6.5L8.5 12l5.5 5.5",
  prompt: "M4.5 5.5h15v11h-8.5l-4 3.5v-3.5h-2.5zM8.5 9.5h7M8.5 12.5h4.5",
  retry: "M19 12a7 7 0 1 1-2.3-5.2L19 9M19 4.5V9h-4.5",
  search: "M10.8 17.1a6.3 6.3 0 1 0 0-12.6 6.3 6.3 0 0 0 0 12.6zM15.5 15.5l4.5 4.5",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4.5 7.5h8.5M17.5 7.5h2M4.5 16.5h2M11 16.5h8.5M15.25 9.75a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM8.75 18.75a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5z",
  stop: "M7.5 7.5h9v9h-9z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
};
