/**
 * The body of a request for the next answer.
 * @param {{path: import("./tree.js").Message[], system: string, model: string|null,
 *   samplers: Record<string, number>}} chat
 * @returns {object}
 */
export function chatRequest({ path, system, model, samplers }) {
  const messages = path.map(({ role, content, attachments = [] }) => ({
    role,
    content: withAttachments(content, attachments),
  }));
  if (system) messages.unshift({ role: "system", content: system });
  return {
    ...(model ? { model } : {}),
    messages,
    ...samplers,
    stream: true,
    stream_options: { include_usage: true },
    timings_per_token: true,
  };
}

function withAttachments(content, attachments) {
  const files = attachments.filter(({ kind }) => kind === "text").map(inlined);
  const text = [...files, content].filter(Boolean).join("\n\n");
  const images = attachments.filter(({ kind }) => kind === "image");
  if (!images.length) return text;
  return [
    ...images.map(({ url }) => ({ type: "image_url", image_url: { url } })),
    ...(text ? [{ type: "text", text }] : []),
  ];
}

/** The file in a fence longer than any in it. */
function inlined({ name, text }) {
  const longest = Math.max(2, ...(text.match(/`{3,}/g) ?? []).map((fence) => fence.length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text}\n${fence}`;
}
