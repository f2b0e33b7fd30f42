import { fill, h, iconButton } from "../dom.js";
import { modelName } from "../server.js";

/** The line above the conversation: the model, and the way to the system prompt. */
export class HeaderView {
  /**
   * @param {import("../session.js").Session} session
   * @param {import("../server.js").Server} server
   * @param {{toggleSidebar: () => void, newChat: () => void, editSystem: () => void}} actions
   */
  constructor(session, server, actions) {
    this.session = session;
    this.server = server;
    this.model = h("span", { class: "model-place" });
    this.system = iconButton("prompt", "System prompt", { onclick: actions.editSystem });
    this.menu = iconButton("menu", "Conversations", {
      "aria-controls": "sidebar",
      onclick: actions.toggleSidebar,
    });
    fill(
      document.getElementById("header"),
      this.menu,
      this.model,
      h("span", { class: "spacer" }),
      this.system,
      iconButton("plus", "New chat", { class: "phone-only", onclick: actions.newChat }),
    );
    server.addEventListener("change", () => this.update());
    session.addEventListener("change", () => this.update());
    this.update();
  }

  update() {
    this.system.setAttribute("aria-pressed", String(Boolean(this.session.conversation.system)));
    const state = `${this.server.models.join("\n")}\n${this.server.model}`;
    if (state === this.shown) return;
    this.shown = state;
    fill(this.model, this.server.models.length > 1 ? this.choice() : this.name());
  }

  name() {
    const { model } = this.server;
    return h("span", { class: "model", title: model }, modelName(model));
  }

  choice() {
    const select = h(
      "select",
      { class: "model", "aria-label": "Model", onchange: () => this.server.choose(select.value) },
      ...this.server.models.map((model) =>
        h("option", { value: model, selected: model === this.server.model }, modelName(model)),
      ),
    );
    return select;
  }
}
