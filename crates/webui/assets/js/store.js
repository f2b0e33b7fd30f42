/**
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} title
 * @property {number} created Milliseconds since 1970.
 * @property {number} updated
 * @property {string|null} leaf The message that the shown branch ends in.
 * @property {string} system The system prompt, or "".
 */

/** @typedef {import("./tree.js").Message} Message */

const VERSION = 1;

/** Conversations in the browser's database. */
export class Store {
  /**
   * @param {string} name
   * @returns {Promise<Store>}
   */
  static async open(name) {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      const messages = request.result.createObjectStore("messages", { keyPath: "id" });
      messages.createIndex("conversation", "conversation");
    };
    return new Store(await result(request));
  }

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @returns {Promise<Conversation[]>} The latest one first. */
  async conversations() {
    const all = await result(this.read("conversations").getAll());
    return all.sort((a, b) => b.updated - a.updated);
  }

  /** @returns {Promise<Conversation|undefined>} */
  conversation(id) {
    return result(this.read("conversations").get(id));
  }

  /** @returns {Promise<Message[]>} */
  messages(conversation) {
    return result(this.read("messages").index("conversation").getAll(conversation));
  }

  /**
   * Adds or replaces conversations and messages, all or none.
   * @param {{conversations?: Conversation[], messages?: Message[]}} records
   */
  async put({ conversations = [], messages = [] }) {
    const transaction = this.database.transaction(["conversations", "messages"], "readwrite");
    for (const record of conversations) transaction.objectStore("conversations").put(record);
    for (const record of messages) transaction.objectStore("messages").put(record);
    await completion(transaction);
  }

  /** Removes one message. */
  async removeMessage(id) {
    const transaction = this.database.transaction("messages", "readwrite");
    transaction.objectStore("messages").delete(id);
    await completion(transaction);
  }

  /** Removes a conversation with its messages. */
  async remove(id) {
    const transaction = this.database.transaction(["conversations", "messages"], "readwrite");
    transaction.objectStore("conversations").delete(id);
    const messages = transaction.objectStore("messages");
    const keys = messages.index("conversation").getAllKeys(id);
    keys.onsuccess = () => keys.result.forEach((key) => messages.delete(key));
    await completion(transaction);
  }

  /** Removes everything. */
  async clear() {
    const transaction = this.database.transaction(["conversations", "messages"], "readwrite");
    transaction.objectStore("conversations").clear();
    transaction.objectStore("messages").clear();
    await completion(transaction);
  }

  /**
   * Finds the first message of each conversation that contains a text, in any case.
   * @param {string} text
   * @param {AbortSignal} signal Ends the search.
   * @returns {Promise<Map<string, string>>} The text around it, by conversation.
   */
  search(text, signal) {
    const wanted = text.toLowerCase();
    const found = new Map();
    const request = this.read("messages").openCursor();
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor || signal.aborted) {
          resolve(found);
          return;
        }
        const { conversation, content } = cursor.value;
        const at = found.has(conversation) ? -1 : content.toLowerCase().indexOf(wanted);
        if (at >= 0) found.set(conversation, excerpt(content, at, wanted.length));
        cursor.continue();
      };
    });
  }

  read(name) {
    return this.database.transaction(name).objectStore(name);
  }
}

/**
 * A new identifier. (`crypto.randomUUID` is missing where the page is not at a secure address.)
 * @returns {string}
 */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function excerpt(content, at, length) {
  const start = Math.max(0, at - 24);
  const text = content.slice(start, at + length + 60).replace(/\s+/g, " ");
  return (start > 0 ? "…" : "") + text;
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completion(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}
