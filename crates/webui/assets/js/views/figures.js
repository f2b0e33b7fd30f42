import { fill, h } from "../dom.js";
import { contextTokens, count, details } from "../figures.js";

/** From this share on, the context counts as nearly full. */
const NEARLY_FULL = 0.9;

/** The line of speeds and context below the message field. */
export class FiguresView {
  /**
   * @param {import("../session.js").Session} session
   * @param {import("../server.js").Server} server
   */
  constructor(session, server) {
    this.session = session;
    this.server = server;
    this.element = document.getElementById("figures");
    this.scheduled = 0;
    for (const [target, type] of [[session, "change"], [session, "progress"], [server, "change"]]) {
      target.addEventListener(type, () => this.schedule());
    }
    this.update();
  }

  /** Once a frame is enough. */
  schedule() {
    this.scheduled ||= requestAnimationFrame(() => this.update());
  }

  update() {
    this.scheduled = 0;
    const { path } = this.session;
    const answer = path.findLast(({ timings }) => timings);
    fill(
      this.element,
      ...details(answer).map((text) => h("span", { class: "figure-extra" }, text)),
      this.context(contextTokens(path)),
    );
  }

  context(used) {
    const { context } = this.server;
    if (!used && !context) return null;
    if (!context) return h("span", {}, `${count(used)} tokens`);
    const share = Math.min(used / context, 1);
    const bar = h("i");
    bar.style.width = `${share * 100}%`;
    return h(
      "span",
      { class: share > NEARLY_FULL ? "context full" : "context", title: "Tokens of the context in use" },
      h("span", { class: "gauge", "aria-hidden": "true" }, bar),
      `${count(used)} of ${count(context)} tokens`,
    );
  }
}
