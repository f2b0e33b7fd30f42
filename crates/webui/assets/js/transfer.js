import { newId } from "./store.js";

const FORMAT = "llamafile-conversations";
const VERSION = 1;

/**
 * Reads conversations for a file.
 * @param {import("./store.js").Store} store
 * @param {string[]} ids
 * @returns {Promise<object>} What `importConversations` takes.
 */
export async function exportConversations(store, ids) {
  const conversations = [];
  for (const id of ids) {
    const messages = await store.messages(id);
    messages.sort((a, b) => a.created - b.created);
    conversations.push({ ...(await store.conversation(id)), messages });
  }
  return { format: FORMAT, version: VERSION, exported: new Date().toISOString(), conversations };
}

/**
 * Adds the conversations of a file to the store, as copies: nothing is replaced.
 * @param {import("./store.js").Store} store
 * @param {string} json
 * @returns {Promise<number>} How many.
 * @throws {Error} For people to read; nothing is added then.
 */
export async function importConversations(store, json) {
  const copies = parse(json).conversations.map(copy);
  await store.put({
    conversations: copies.map(({ conversation }) => conversation),
    messages: copies.flatMap(({ messages }) => messages),
  });
  return copies.length;
}

/**
 * Lets the user save a value as a JSON file.
 * @param {string} name
 * @param {object} value
 */
export function download(name, value) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser may still be reading.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function parse(json) {
  let file;
  try {
    file = JSON.parse(json);
  } catch {
    throw new Error("This file is not JSON.");
  }
  check(file?.format === FORMAT && Array.isArray(file.conversations), "This file has no conversations of llamafile.");
  check(file.version === VERSION, `This file is of version ${file.version}; this page reads version ${VERSION}.`);
  return file;
}

/** A conversation with new identifiers and only known, checked fields. */
function copy(source) {
  check(isText(source?.title) && Array.isArray(source.messages), "A conversation lacks its title or messages.");
  const id = newId();
  const newIds = new Map();
  const messages = source.messages.map((message) => copyMessage(message, id, newIds));
  const conversation = {
    id,
    title: source.title,
    created: time(source.created),
    updated: time(source.updated),
    leaf: newIds.get(source.leaf) ?? messages.at(-1)?.id ?? null,
    system: isText(source.system) ? source.system : "",
  };
  return { conversation, messages };
}

function copyMessage(source, conversation, newIds) {
  const { role, content, parent } = source ?? {};
  check(role === "user" || role === "assistant", "A message is from neither user nor assistant.");
  check(isText(content), "A message has no text.");
  // Parents come first, so there are no rings.
  check(parent === null || newIds.has(parent), "A message comes before the one that it answers.");
  const message = {
    id: newId(),
    conversation,
    parent: parent === null ? null : newIds.get(parent),
    role,
    content,
    created: time(source.created),
  };
  for (const name of ["reasoning", "model", "finish", "error"]) {
    if (isText(source[name])) message[name] = source[name];
  }
  if (Number.isFinite(source.reasoningMs)) message.reasoningMs = source.reasoningMs;
  for (const name of ["timings", "usage"]) {
    if (source[name]) message[name] = numbers(source[name]);
  }
  if (Array.isArray(source.attachments)) message.attachments = source.attachments.map(copyAttachment);
  newIds.set(source.id, message.id);
  return message;
}

function copyAttachment(source) {
  const { kind, name, text, url } = source ?? {};
  check(isText(name), "An attachment has no name.");
  if (kind === "text" && isText(text)) return { kind, name, text };
  check(kind === "image" && isText(url) && url.startsWith("data:image/"), `The attachment ${name} can’t be read.`);
  return { kind, name, url };
}

function numbers(source) {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => Number.isFinite(value)));
}

function time(value) {
  return Number.isFinite(value) ? value : Date.now();
}

function isText(value) {
  return typeof value === "string";
}

function check(holds, message) {
  if (!holds) throw new Error(message);
}
