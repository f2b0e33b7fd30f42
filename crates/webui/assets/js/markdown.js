import { Marked } from "../vendor/marked.js";
import { h, icon } from "./dom.js";
import { highlight } from "./highlight.js";
import { formula } from "./math.js";

/** Deeper structures are shown as their source. */
const MAX_DEPTH = 50;

const parser = new Marked({
  gfm: true,
  extensions: [mathBlock(), mathInline()],
  tokenizer: { inlineText },
});

/**
 * Splits markdown into its top-level blocks; the `raw` of all of them together is the source.
 * @param {string} source With `\n` as the only line end.
 * @returns {Array<{type: string, raw: string}>} Tokens for `renderBlock`.
 */
export function parseBlocks(source) {
  try {
    return parser.lexer(source);
  } catch {
    // Nested too deeply for the parser's stack.
    return [{ type: "paragraph", raw: source, tokens: [{ type: "text", raw: source, text: source }] }];
  }
}

/**
 * Creates the element of a block. Only elements made here exist in an answer: HTML in the source is
 * shown as text, links lead only to addresses that can't run anything.
 * @param {{type: string, raw: string}} token From `parseBlocks`.
 * @param {number} [depth] How many blocks it is in.
 * @returns {Node}
 */
export function renderBlock(token, depth = 0) {
  const render = depth < MAX_DEPTH ? BLOCKS[token.type] : undefined;
  return render ? render(token, depth + 1) : document.createTextNode(token.raw);
}

const BLOCKS = {
  space: () => document.createTextNode(""),
  def: () => document.createTextNode(""),
  hr: () => h("hr"),
  // The page has headings above those of answers.
  heading: (token, depth) => h(`h${Math.min(token.depth + 2, 6)}`, {}, ...inline(token.tokens, depth)),
  paragraph: (token, depth) => h("p", {}, ...inline(token.tokens, depth)),
  text: (token, depth) => h("p", {}, ...inline(token.tokens ?? [token], depth)),
  html: (token) => h("p", {}, token.raw),
  mathBlock: (token) => formula(token.text, true),
  code: codeBlock,
  blockquote: (token, depth) =>
    h("blockquote", {}, ...token.tokens.map((child) => renderBlock(child, depth))),
  list: (token, depth) =>
    h(
      token.ordered ? "ol" : "ul",
      { start: token.ordered && token.start !== 1 ? token.start : null },
      ...token.items.map((item) => listItem(item, depth)),
    ),
  table,
};

function listItem(item, depth) {
  if (depth >= MAX_DEPTH) return h("li", {}, item.raw);
  const children = item.tokens.map((token) => {
    if (token.type === "checkbox") return INLINES.checkbox(token);
    // Items without blank lines between them have text rather than paragraphs.
    if (token.type !== "text") return renderBlock(token, depth + 1);
    return h("span", {}, ...inline(token.tokens ?? [token], depth + 1));
  });
  return h("li", { class: item.task ? "task" : null }, ...children);
}

function codeBlock(token) {
  const language = /^[\w+#.-]*/.exec(token.lang ?? "")[0].toLowerCase();
  const code = h("code");
  highlight(code, token.text, language);
  return h(
    "div",
    { class: "code" },
    h(
      "div",
      { class: "code-head" },
      h("span", {}, language || "text"),
      h("button", { type: "button", class: "quiet-button", "data-action": "copy-code" }, icon("copy"), "Copy"),
    ),
    h("pre", { tabindex: "0" }, code),
  );
}

function table(token, depth) {
  const row = (cells, tag) =>
    h("tr", {}, ...cells.map((cell) => h(tag, { class: cell.align }, ...inline(cell.tokens, depth))));
  return h(
    "div",
    { class: "table", tabindex: "0" },
    h(
      "table",
      {},
      h("thead", {}, row(token.header, "th")),
      h("tbody", {}, ...token.rows.map((cells) => row(cells, "td"))),
    ),
  );
}

function inline(tokens, depth) {
  return tokens.map((token) => {
    const render = depth < MAX_DEPTH ? INLINES[token.type] : undefined;
    return render ? render(token, depth + 1) : document.createTextNode(token.raw);
  });
}

const INLINES = {
  text: (token, depth) =>
    token.tokens
      ? h("span", {}, ...inline(token.tokens, depth))
      : document.createTextNode(decodeEntities(token.text)),
  escape: (token) => document.createTextNode(token.text),
  strong: (token, depth) => h("strong", {}, ...inline(token.tokens, depth)),
  em: (token, depth) => h("em", {}, ...inline(token.tokens, depth)),
  del: (token, depth) => h("del", {}, ...inline(token.tokens, depth)),
  codespan: (token) => h("code", {}, token.text),
  br: () => h("br"),
  html: (token) => (/^<br\s*\/?>$/i.test(token.raw) ? h("br") : document.createTextNode(token.raw)),
  checkbox: (token) =>
    h("input", { type: "checkbox", disabled: true, checked: token.checked, "aria-label": "Task" }),
  mathInline: (token) => formula(token.text, false),
  link: (token, depth) => link(token.href, inline(token.tokens, depth), token.title),
  // An address in an answer must not be asked for without a click: it could carry the conversation.
  image: (token) => link(token.href, [token.text || token.href], token.title),
};

function link(href, children, title) {
  const target = safeAddress(href);
  if (!target) return h("span", {}, ...children);
  return h("a", { href: target, title, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

/** The address, if following it can't run anything in this page. */
function safeAddress(href) {
  try {
    const address = new URL(href);
    return ["http:", "https:", "mailto:"].includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", deg: "°",
  ndash: "–", mdash: "—", hellip: "…", bull: "•", middot: "·", times: "×", divide: "÷", plusmn: "±",
  le: "≤", ge: "≥", ne: "≠", larr: "←", rarr: "→", laquo: "«", raquo: "»", euro: "€", pound: "£",
};

function decodeEntities(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,8}));/gi, (entity, decimal, hex, name) => {
    if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : entity;
    const code = decimal ? Number(decimal) : parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : entity;
  });
}

/** `$$…$$` or `\[…\]`. */
function mathBlock() {
  return {
    name: "mathBlock",
    level: "block",
    start: (source) => indexOrNothing(source.search(/(?:^|\n) {0,3}(?:\$\$|\\\[)/)),
    tokenizer(source) {
      const match =
        /^ {0,3}\$\$((?:[^$\\]|\\[^])+?)\$\$ *(?:\n|$)/.exec(source) ??
        /^ {0,3}\\\[((?:[^\\]|\\[^\]])+?)\\\] *(?:\n|$)/.exec(source);
      return match ? { type: "mathBlock", raw: match[0], text: match[1].trim() } : undefined;
    },
  };
}

/**
 * `$…$`, `$$…$$` or `\(…\)`. Single dollars hug their formula and no digit follows, so that prices
 * stay text.
 */
function mathInline() {
  return {
    name: "mathInline",
    level: "inline",
    start: (source) => indexOrNothing(source.search(/\$|\\[([]/)),
    tokenizer(source) {
      const match =
        /^\$\$((?:[^$\\]|\\[^]){1,2000}?)\$\$/.exec(source) ??
        /^\$(?![\s$])((?:[^$\\\n]|\\[^\n]){1,1000}?)(?<!\s)\$(?!\d)/.exec(source) ??
        /^\\\(((?:[^\\]|\\[^)]){1,2000}?)\\\)/.exec(source) ??
        /^\\\[((?:[^\\]|\\[^\]]){1,2000}?)\\\]/.exec(source);
      return match ? { type: "mathInline", raw: match[0], text: match[1].trim() } : undefined;
    },
  };
}

function indexOrNothing(index) {
  return index < 0 ? undefined : index;
}

/**
 * Takes long runs without a space as they are: looking for mail addresses in them takes the parser
 * time that grows with the square of their length.
 */
function inlineText(source) {
  const run = /^[\w.!#%&'+/=?{|}-]{500,}/.exec(source)?.[0];
  return run ? { type: "text", raw: run, text: run, escaped: false } : false;
}
