import { copyFrom } from "../clipboard.js";
import { h, icon, iconButton } from "../dom.js";
import { modelName } from "../server.js";
import { siblings } from "../tree.js";
import { createMessage } from "./message.js";

/** So close to its end, in pixels, the conversation follows an answer. */
const NEAR_END = 48;

const EXAMPLES = [
  "Explain how a transformer predicts the next word, as if to a curious child",
  "Write a Python function that finds the longest palindrome in a string",
  "Derive the quadratic formula, step by step",
  "Plan three simple vegetarian dinners, with a shopping list",
];

/** The messages of the shown conversation. */
export class ThreadView {
  /**
   * @param {import("../session.js").Session} session
   * @param {import("../server.js").Server} server
   * @param {{editSystem: () => void}} actions
   */
  constructor(session, server, actions) {
    this.session = session;
    this.server = server;
    this.actions = actions;
    this.scroller = document.getElementById("scroller");
    this.element = document.getElementById("thread");
    this.announcer = document.getElementById("announcer");
    this.jump = iconButton("down", "Go to the end", { hidden: true, onclick: () => this.toEnd() });
    document.getElementById("jump").append(this.jump);
    /** By message: views to use again. */
    this.views = new Map();
    this.shown = null;
    this.following = true;

    session.addEventListener("change", () => this.update());
    session.addEventListener("progress", ({ detail }) => this.progress(detail));
    server.addEventListener("change", () => this.session.path.length || this.update());
    this.scroller.addEventListener("scroll", () => this.scrolled());
    new ResizeObserver(() => this.follow()).observe(this.element);
    this.element.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-action='copy-code']");
      if (button) copyFrom(button, button.closest(".code").querySelector("code").textContent);
    });
    this.update();
  }

  /** Starts to edit the last message of the user. */
  editLast() {
    const last = this.session.path.findLast(({ role }) => role === "user");
    if (last && !this.session.busy) this.views.get(last.id).edit();
  }

  update() {
    const { session } = this;
    const { path, busy } = session;
    const sameConversation = this.shown === session.conversation.id;
    const last = path.at(-1);
    const grew = last && !this.views.has(last.id);
    const old = sameConversation ? this.views : new Map();
    this.shown = session.conversation.id;
    this.views = new Map(path.map((message) => [message.id, old.get(message.id) ?? createMessage(session, message)]));
    for (const message of path) {
      this.views.get(message.id).update(message, {
        siblings: siblings(session.messages, message),
        writing: this.isWriting(message),
        busy,
      });
    }
    const elements = Array.from(this.views.values(), ({ element }) => element);
    this.place(path.length ? [this.systemNote(), ...elements] : [this.empty()]);
    this.announce(busy && sameConversation);
    if (!sameConversation || grew) this.toEnd();
  }

  /** Leaves elements that stay where they are, so that focus and selection stay too. */
  place(elements) {
    const wanted = elements.filter(Boolean);
    for (const child of [...this.element.children]) {
      if (!wanted.includes(child)) child.remove();
    }
    wanted.forEach((element, index) => {
      if (this.element.children[index] !== element) {
        this.element.insertBefore(element, this.element.children[index] ?? null);
      }
    });
  }

  progress(message) {
    this.views.get(message.id)?.show?.(message, this.isWriting(message));
  }

  isWriting(message) {
    return this.session.running.get(message.conversation)?.message === message;
  }

  /** Screen readers read an answer when it is complete, not at each piece. */
  announce(busy) {
    const was = this.element.getAttribute("aria-busy") === "true";
    this.element.setAttribute("aria-busy", String(busy));
    if (was !== busy) this.announcer.textContent = busy ? "Writing an answer" : "The answer is complete";
  }

  systemNote() {
    const { system } = this.session.conversation;
    if (!system) return null;
    return h(
      "button",
      { type: "button", class: "system-note", onclick: this.actions.editSystem },
      icon("prompt"),
      h("span", {}, `System prompt: ${system}`),
    );
  }

  empty() {
    const name = modelName(this.server.model);
    return h(
      "div",
      { class: "empty" },
      h("h1", {}, name ? `Chat with ${name}` : "Chat"),
      h("p", {}, "Conversations are kept in this browser only."),
      h(
        "div",
        { class: "examples" },
        ...EXAMPLES.map((text) => h("button", { type: "button", onclick: () => this.session.send(text) }, text)),
      ),
      this.systemNote(),
    );
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const rest = scrollHeight - clientHeight - scrollTop;
    this.following = rest < NEAR_END;
    this.jump.hidden = rest < clientHeight / 2;
  }

  follow() {
    if (this.following) this.toEnd();
  }

  toEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
