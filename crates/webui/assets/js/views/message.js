import { copyFrom } from "../clipboard.js";
import { fill, h, icon, iconButton } from "../dom.js";
import { duration, speed } from "../figures.js";
import { LiveMarkdown, showMarkdown } from "../live-markdown.js";
import { modelName } from "../server.js";
import { attachmentList } from "./attachments.js";

/**
 * One message on the page.
 * @typedef {object} MessageView
 * @property {HTMLElement} element
 * @property {(message: import("../tree.js").Message, place: Place) => void} update Shows a new state.
 */

/**
 * Where a message is.
 * @typedef {object} Place
 * @property {import("../tree.js").Message[]} siblings
 * @property {boolean} writing Whether the message is an answer that is being written.
 * @property {boolean} busy Whether any answer of the conversation is being written.
 */

/**
 * @param {import("../session.js").Session} session
 * @param {import("../tree.js").Message} message
 * @returns {MessageView}
 */
export function createMessage(session, message) {
  return message.role === "user" ? new UserMessage(session, message) : new Answer(session, message);
}

class UserMessage {
  constructor(session, message) {
    this.session = session;
    this.body = h("div", { class: "bubble" });
    this.foot = h("footer", { class: "message-foot" });
    this.element = h(
      "article",
      { class: "message user", "aria-label": "You" },
      attachmentList(message.attachments ?? []),
      this.body,
      this.foot,
    );
  }

  update(message, place) {
    this.message = message;
    this.body.textContent = message.content;
    this.body.hidden = !message.content;
    fill(
      this.foot,
      h(
        "span",
        { class: "actions" },
        iconButton("copy", "Copy message", { onclick: ({ currentTarget }) => copyFrom(currentTarget, message.content) }),
        iconButton("edit", "Edit message", { disabled: place.busy, onclick: () => this.edit() }),
      ),
      branchSwitch(this.session, message, place),
    );
  }

  /** Lets the user change the text and ask again, beside the old message. */
  edit() {
    const field = h("textarea", { class: "field", "aria-label": "Edit message" });
    field.value = this.message.content;
    const close = () => {
      editor.replaceWith(this.body, this.foot);
      this.foot.querySelector("[aria-label='Edit message']")?.focus();
    };
    const submit = () => {
      const content = field.value.trim();
      close();
      if (content || this.message.attachments) this.session.edit(this.message.id, content);
    };
    const editor = h(
      "form",
      {
        class: "editor",
        onsubmit: (event) => {
          event.preventDefault();
          submit();
        },
        onkeydown: (event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            close();
          } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();
          }
        },
      },
      field,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { type: "button", class: "button", onclick: close }, "Cancel"),
        h("button", { class: "button primary" }, "Send"),
      ),
    );
    this.foot.remove();
    this.body.replaceWith(editor);
    field.style.height = `${Math.min(field.scrollHeight + 4, innerHeight / 2)}px`;
    field.focus();
  }
}

class Answer {
  constructor(session, message) {
    this.session = session;
    this.thinking = new Thinking();
    this.prose = h("div", { class: "prose" });
    this.waiting = h("span", { class: "waiting-dot", role: "img", "aria-label": "Waiting for the answer" });
    this.end = h("div");
    this.foot = h("footer", { class: "message-foot" });
    this.element = h(
      "article",
      { class: "message assistant", "aria-label": `Answer of ${modelName(message.model) || "the model"}` },
      this.thinking.element,
      this.prose,
      this.waiting,
      this.end,
      this.foot,
    );
  }

  update(message, place) {
    this.show(message, place.writing);
    fill(this.end, ...this.ending(message, place));
    if (place.writing) {
      fill(this.foot);
      return;
    }
    fill(
      this.foot,
      h(
        "span",
        { class: "actions" },
        message.content &&
          iconButton("copy", "Copy answer", { onclick: ({ currentTarget }) => copyFrom(currentTarget, message.content) }),
        !message.error &&
          iconButton("retry", "Regenerate answer", {
            disabled: place.busy,
            onclick: () => this.session.regenerate(message.id),
          }),
        h("span", { class: "speed" }, speed(message)),
      ),
      branchSwitch(this.session, message, place),
    );
  }

  /** Shows what there is of the text. */
  show(message, writing) {
    this.thinking.show(message, writing);
    this.waiting.hidden = !writing || Boolean(message.content || message.reasoning);
    if (writing) {
      this.live ??= new LiveMarkdown(this.prose);
      this.live.update(message.content);
    } else if (this.live) {
      this.live.finish(message.content);
      this.live = null;
      this.shown = message.content;
    } else if (this.shown !== message.content) {
      showMarkdown(this.prose, message.content);
      this.shown = message.content;
    }
  }

  ending(message, { writing, busy }) {
    if (writing) return [];
    const retry = () => this.session.regenerate(message.id);
    if (message.error) {
      return [
        h(
          "div",
          { class: "error", role: "alert" },
          h("span", {}, message.error),
          h("button", { type: "button", class: "button", disabled: busy, onclick: retry }, icon("retry"), "Try again"),
        ),
      ];
    }
    if (message.finish === "stopped") return [h("p", { class: "cut" }, "Stopped.")];
    if (message.finish === "length") return [h("p", { class: "cut" }, "Cut off: the answer reached the limit of tokens.")];
    return [];
  }
}

/** What a model writes before its answer, folded. */
class Thinking {
  constructor() {
    this.label = h("span");
    this.prose = h("div", { class: "prose" });
    this.element = h(
      "details",
      { class: "thinking", hidden: true, ontoggle: () => this.render() },
      h("summary", {}, this.label, icon("next")),
      this.prose,
    );
  }

  show(message, writing) {
    const thinking = writing && !message.content;
    this.element.hidden = !message.reasoning;
    if (!message.reasoning) return;
    const time = duration(message.reasoningMs ?? 0);
    this.label.textContent = thinking ? `Thinking… ${time}` : `Thought for ${time}`;
    this.label.classList.toggle("pulsing", thinking);
    this.text = message.reasoning;
    this.complete = !thinking;
    this.render();
  }

  /** Renders only what can be seen. */
  render() {
    if (!this.element.open || this.text === this.rendered) return;
    this.live ??= new LiveMarkdown(this.prose);
    if (this.complete) this.live.finish(this.text);
    else this.live.update(this.text);
    this.rendered = this.text;
  }
}

/** Shows which of several alternatives this is, and leads to the others. */
function branchSwitch(session, message, { siblings }) {
  if (siblings.length < 2) return null;
  const index = siblings.indexOf(message);
  const step = (offset, name, label) => {
    const target = siblings[index + offset];
    return iconButton(name, label, { disabled: !target, onclick: () => session.select(target.id) });
  };
  return h(
    "span",
    { class: "branches", role: "group", "aria-label": "Alternatives" },
    step(-1, "previous", "Previous alternative"),
    h("span", { "aria-label": `${index + 1} of ${siblings.length}` }, `${index + 1}/${siblings.length}`),
    step(1, "next", "Next alternative"),
  );
}
