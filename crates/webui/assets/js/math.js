import library from "../vendor/temml.js";

const MATHML = "http://www.w3.org/1998/Math/MathML";

/** Longer formulas are shown as their source. */
const MAX_LENGTH = 10_000;

/**
 * Creates an element that shows a formula as MathML, or as its TeX source where it has an error.
 * @param {string} tex
 * @param {boolean} display On a line of its own.
 * @returns {HTMLElement}
 */
export function formula(tex, display) {
  const element = document.createElement(display ? "div" : "span");
  element.className = display ? "math math-display" : "math";
  try {
    if (tex.length > MAX_LENGTH) throw new RangeError("too long");
    const options = { displayMode: display, throwOnError: true, trust: false, maxSize: [20, 50] };
    element.append(toNode(library.__renderToMathMLTree(tex, options)));
  } catch {
    element.classList.add("math-source");
    element.textContent = tex;
  }
  return element;
}

/** The library's own `toNode` sets styles as attributes, which the page's policy forbids. */
function toNode(tree) {
  if (tree.text !== undefined && !tree.type) return document.createTextNode(tree.text);
  const children = (tree.children ?? []).map(toNode);
  if (!tree.type) {
    const fragment = document.createDocumentFragment();
    fragment.append(...children);
    return fragment;
  }
  const element = document.createElementNS(MATHML, tree.type);
  for (const [name, value] of Object.entries(tree.attributes ?? {})) {
    if (name === "style") element.style.cssText = value;
    else if (name !== "href") element.setAttribute(name, value);
  }
  const classes = (tree.classes ?? []).filter(Boolean).join(" ");
  if (classes) element.setAttribute("class", classes);
  Object.assign(element.style, tree.style ?? {});
  element.append(...children);
  return element;
}
