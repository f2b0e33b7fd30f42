import { ApiError } from "./api.js";
import { chatRequest } from "./request.js";
import { newId } from "./store.js";
import { newestLeaf, pathTo } from "./tree.js";

/** An answer that is being written is saved this often, in milliseconds. */
const SAVE_INTERVAL = 1000;

const TITLE_LENGTH = 60;

/** @typedef {import("./tree.js").Message} Message */

/**
 * The conversation that is shown, and the answers being written, which may be in others.
 *
 * Sends `change` (other messages are shown), `progress` (an answer grew; `detail` is the message),
 * `list` (a conversation's title or place in the list changed), `denied` (the server wants an API
 * key) and `unsaved` (the browser has no room).
 */
export class Session extends EventTarget {
  /**
   * @param {import("./store.js").Store} store
   * @param {import("./api.js").Api} api
   * @param {import("./settings.js").Settings} settings
   */
  constructor(store, api, settings) {
    super();
    this.store = store;
    this.api = api;
    this.settings = settings;
    /** By conversation: `{conversation, messages, message, controller}`. */
    this.running = new Map();
    this.startNew();
  }

  /** @returns {Message[]} The branch that is shown. */
  get path() {
    return pathTo(this.messages, this.conversation.leaf);
  }

  /** @returns {boolean} Whether an answer is being written in the shown conversation. */
  get busy() {
    return this.running.has(this.conversation.id);
  }

  /** Shows an empty conversation; it is kept from its first message on. */
  startNew() {
    const now = Date.now();
    this.conversation = {
      id: newId(), title: "", created: now, updated: now, leaf: null, system: this.settings.get("system"),
    };
    this.messages = new Map();
    this.announce("change");
  }

  /**
   * Shows a kept conversation.
   * @returns {Promise<boolean>} False where there is none of this identifier.
   */
  async open(id) {
    const { conversation, messages } = this.running.get(id) ?? (await this.load(id));
    if (!conversation) return false;
    this.conversation = conversation;
    this.messages = messages;
    this.announce("change");
    return true;
  }

  /** Adds a message of the user to the shown branch, and asks for an answer. */
  async send(content, attachments = []) {
    if (this.busy) return;
    await this.ask(this.conversation.leaf, content, attachments);
  }

  /** Asks with a changed message, beside the old one. */
  async edit(id, content) {
    if (this.busy) return;
    const { parent, attachments } = this.messages.get(id);
    await this.ask(parent, content, attachments);
  }

  /** Asks for another answer beside an old one; one that failed before its first word goes. */
  async regenerate(id) {
    if (this.busy) return;
    const old = this.messages.get(id);
    if (old.error && !old.content) {
      this.messages.delete(id);
      await this.store.removeMessage(id);
    }
    await this.answer(old.parent);
  }

  /** Ends the answer that is being written in the shown conversation. */
  stop() {
    this.running.get(this.conversation.id)?.controller.abort();
  }

  /** Shows the branch that goes through a message. */
  async select(id) {
    this.conversation.leaf = newestLeaf(this.messages, id);
    this.announce("change");
    await this.keep({ conversations: [this.conversation] });
  }

  /** Changes a conversation's title. */
  async rename(id, title) {
    const shown = id === this.conversation.id ? this : null;
    const { conversation } = shown ?? this.running.get(id) ?? (await this.load(id));
    conversation.title = title;
    await this.keep({ conversations: [conversation] });
    this.announce("list");
  }

  /** Changes the shown conversation's system prompt. */
  async setSystem(system) {
    this.conversation.system = system;
    this.announce("change");
    if (this.messages.size) await this.keep({ conversations: [this.conversation] });
  }

  /** Removes a conversation, and shows an empty one where it was shown. */
  async remove(id) {
    this.running.get(id)?.controller.abort();
    this.running.delete(id);
    await this.store.remove(id);
    if (id === this.conversation.id) this.startNew();
    this.announce("list");
  }

  async ask(parent, content, attachments) {
    const conversation = this.conversation;
    conversation.title ||= titleOf(content || attachments[0].name);
    const message = this.add({ parent, role: "user", content, ...(attachments?.length ? { attachments } : {}) });
    await this.keep({ conversations: [conversation], messages: [message] });
    this.announce("list");
    if (conversation === this.conversation) await this.answer(message.id);
  }

  async answer(parent) {
    const { conversation, messages } = this;
    const message = this.add({ parent, role: "assistant", content: "", model: this.settings.get("model") });
    const running = { conversation, messages, message, controller: new AbortController() };
    this.running.set(conversation.id, running);
    this.announce("change");
    await this.keep({ conversations: [conversation], messages: [message] });
    const request = chatRequest({
      path: pathTo(messages, parent),
      system: conversation.system,
      model: message.model,
      samplers: this.settings.get("samplers"),
    });
    try {
      await this.read(request, running);
    } catch (error) {
      recordFailure(message, error);
      if (error instanceof ApiError && error.status === 401) this.announce("denied");
    }
    // Not where the conversation was removed meanwhile.
    if (this.running.get(conversation.id) === running) {
      await this.keep({ conversations: [conversation], messages: [message] });
      this.running.delete(conversation.id);
    }
    this.announce("change");
  }

  /** Fills the message with the chunks of the answer. */
  async read(request, { message, controller }) {
    let thinkingSince = 0;
    let saved = performance.now();
    for await (const chunk of this.api.chat(request, controller.signal)) {
      const choice = chunk.choices?.[0];
      const { content, reasoning_content: reasoning } = choice?.delta ?? {};
      const now = performance.now();
      if (reasoning) {
        thinkingSince ||= now;
        message.reasoning = (message.reasoning ?? "") + reasoning.replaceAll("\r", "");
      }
      if (message.reasoning && !message.content) message.reasoningMs = now - thinkingSince;
      if (content) message.content += content.replaceAll("\r", "");
      if (choice?.finish_reason) message.finish = choice.finish_reason === "length" ? "length" : "stop";
      if (chunk.timings) message.timings = chunk.timings;
      if (chunk.usage) message.usage = chunk.usage;
      this.dispatchEvent(new CustomEvent("progress", { detail: message }));
      if (now - saved > SAVE_INTERVAL && !controller.signal.aborted) {
        saved = now;
        await this.keep({ messages: [message] });
      }
    }
    if (!message.finish) throw new ApiError("The answer broke off.", 0);
  }

  /** Adds a message to the shown conversation, as its leaf. */
  add(fields) {
    const message = { id: newId(), conversation: this.conversation.id, created: this.nextTime(), ...fields };
    this.messages.set(message.id, message);
    this.conversation.leaf = message.id;
    this.conversation.updated = message.created;
    return message;
  }

  /** Later than every message, so that siblings have an order. */
  nextTime() {
    return Math.max(Date.now(), ...Array.from(this.messages.values(), ({ created }) => created + 1));
  }

  /** Stores records; a chat goes on where there is no room for it. */
  async keep(records) {
    try {
      await this.store.put(records);
    } catch {
      this.announce("unsaved");
    }
  }

  async load(id) {
    const [conversation, messages] = await Promise.all([
      this.store.conversation(id),
      this.store.messages(id),
    ]);
    return { conversation, messages: new Map(messages.map((message) => [message.id, message])) };
  }

  announce(type) {
    this.dispatchEvent(new Event(type));
  }
}

function recordFailure(message, error) {
  if (error.name === "AbortError") {
    message.finish = "stopped";
  } else {
    message.finish = "error";
    message.error = error instanceof ApiError ? error.message : "The connection broke off.";
  }
}

function titleOf(content) {
  const line = content.trim().split("\n", 1)[0].replace(/\s+/g, " ");
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : line;
}
