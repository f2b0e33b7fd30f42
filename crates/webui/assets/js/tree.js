/**
 * A message of a conversation. Messages form a tree: an edited or regenerated message is a sibling
 * of the old one.
 * @typedef {object} Message
 * @property {string} id
 * @property {string} conversation
 * @property {string|null} parent
 * @property {"user"|"assistant"} role
 * @property {string} content
 * @property {number} created Milliseconds since 1970.
 * @property {Attachment[]} [attachments]
 * @property {string} [reasoning]
 * @property {number} [reasoningMs]
 * @property {string} [model]
 * @property {"stop"|"length"|"stopped"|"error"} [finish] Why an answer ended.
 * @property {string} [error]
 * @property {Record<string, number>} [timings] As in llama.cpp's answers.
 * @property {Record<string, number>} [usage] As in OpenAI's answers.
 */

/**
 * @typedef {{kind: "text", name: string, text: string}
 *   | {kind: "image", name: string, url: string}} Attachment
 */

/**
 * The messages from the first one to a leaf.
 * @param {Map<string, Message>} messages
 * @param {string|null} leaf
 * @returns {Message[]}
 */
export function pathTo(messages, leaf) {
  const path = [];
  for (let message = messages.get(leaf); message; message = messages.get(message.parent)) {
    path.push(message);
  }
  return path.reverse();
}

/**
 * The alternatives of a message, itself among them, oldest first.
 * @param {Map<string, Message>} messages
 * @param {Message} message
 * @returns {Message[]}
 */
export function siblings(messages, message) {
  return childrenOf(messages, message.parent);
}

/**
 * The leaf that is reached from a message by its newest descendants.
 * @param {Map<string, Message>} messages
 * @param {string} id
 * @returns {string}
 */
export function newestLeaf(messages, id) {
  let leaf = id;
  for (let next = leaf; next; next = childrenOf(messages, leaf).at(-1)?.id) leaf = next;
  return leaf;
}

function childrenOf(messages, parent) {
  return [...messages.values()]
    .filter((message) => message.parent === parent)
    .sort((a, b) => a.created - b.created);
}
