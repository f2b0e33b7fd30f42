import library from "../vendor/highlight.js";

/** Longer code is shown plain: colouring it would freeze the page. */
const MAX_LENGTH = 100_000;

/**
 * Puts code into an element, coloured.
 * @param {HTMLElement} element Gets spans of class `hljs-…`.
 * @param {string} code
 * @param {string} language As after the fence; code in unknown ones stays plain.
 */
export function highlight(element, code, language) {
  if (!language || code.length > MAX_LENGTH || !library.getLanguage(language)) {
    element.textContent = code;
    return;
  }
  const result = library.highlight(code, { language, ignoreIllegals: true });
  // The tree of scopes, because the page's policy forbids markup from strings.
  element.replaceChildren(...result._emitter.rootNode.children.map(toNode));
}

function toNode(child) {
  if (typeof child === "string") return document.createTextNode(child);
  const span = document.createElement("span");
  if (child.scope) span.className = className(child.scope);
  span.append(...child.children.map(toNode));
  return span;
}

/** `title.function` becomes `hljs-title function_`, as the library's own themes expect. */
function className(scope) {
  const [first, ...rest] = scope.split(".");
  return [`hljs-${first}`, ...rest.map((part, depth) => part + "_".repeat(depth + 1))].join(" ");
}
