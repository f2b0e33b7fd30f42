import { parseBlocks, renderBlock } from "./markdown.js";
import { morph } from "./morph.js";

/** Rendering waits this many times as long as it took: it uses a quarter of the time at most. */
const REST = 3;

/**
 * Shows markdown that grows. Blocks that are complete are parsed and rendered once; only the last
 * block, which new text may still change, is done again.
 */
export class LiveMarkdown {
  /** @param {HTMLElement} container Gets the elements. */
  constructor(container) {
    this.container = container;
    this.onrender = () => {};
    this.reset();
  }

  /**
   * Shows a longer text soon.
   * @param {string} source Starts with the text of the call before.
   */
  update(source) {
    this.source = source;
    this.scheduled ||= requestAnimationFrame((now) => this.tick(now));
  }

  /**
   * Shows the whole text at once; no more will come.
   * @param {string} source
   */
  finish(source) {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    // Definitions of links concern blocks before them too.
    const whole = !source.startsWith(this.source) || this.hasDefinitions;
    if (whole) this.reset();
    this.source = source;
    this.render();
    if (this.hasDefinitions && !whole) this.finish(source);
  }

  reset() {
    this.source = "";
    /** How much of the source is in complete blocks. */
    this.complete = 0;
    /** The blocks after that: `{raw, node}`. */
    this.tail = [];
    this.hasDefinitions = false;
    this.scheduled = 0;
    this.notBefore = 0;
    this.container.replaceChildren();
  }

  tick(now) {
    if (now < this.notBefore) {
      this.scheduled = requestAnimationFrame((later) => this.tick(later));
      return;
    }
    this.scheduled = 0;
    const start = performance.now();
    this.render();
    const end = performance.now();
    this.notBefore = end + (end - start) * REST;
  }

  render() {
    const tokens = parseBlocks(this.source.slice(this.complete));
    this.hasDefinitions ||= tokens.some((token) => token.type === "def");
    const old = this.tail;
    this.tail = tokens.map((token, index) => this.place(token, old[index]));
    for (const { node } of old.slice(tokens.length)) node.remove();
    this.commit(tokens);
    this.onrender();
  }

  /** Puts a block where an old one is, or at the end. */
  place(token, old) {
    if (old?.raw === token.raw && old.type === token.type) return old;
    const node = renderBlock(token);
    if (!old) {
      this.container.append(node);
    } else if (old.node.nodeName === node.nodeName && old.type === token.type) {
      morph(old.node, node);
      return { type: token.type, raw: token.raw, node: old.node };
    } else {
      old.node.replaceWith(node);
    }
    return { type: token.type, raw: token.raw, node };
  }

  /** Counts the blocks as complete that no further text can change. */
  commit(tokens) {
    let count = tokens.findLastIndex((token) => token.type !== "space");
    // A formula that is not closed yet looks like paragraphs.
    const open = tokens.findIndex((token) => token.type === "paragraph" && /^ {0,3}(\$\$|\\\[)/.test(token.raw));
    if (open >= 0) count = Math.min(count, open);
    for (const token of tokens.slice(0, Math.max(count, 0))) {
      if (!this.source.startsWith(token.raw, this.complete)) return;
      this.complete += token.raw.length;
      this.tail.shift();
    }
  }
}

/**
 * Shows a complete markdown text.
 * @param {HTMLElement} container Its content is replaced.
 * @param {string} source
 */
export function showMarkdown(container, source) {
  container.replaceChildren(...parseBlocks(source).map((token) => renderBlock(token)));
}
