/** @typedef {import("./tree.js").Message} Message */

/**
 * How fast an answer was, to show below it.
 * @param {Message} message
 * @returns {string} Empty where the server gave no figures.
 */
export function speed({ timings }) {
  if (!timings?.predicted_n || !timings.predicted_ms) return "";
  return `${count(timings.predicted_n)} tokens · ${rate(timings.predicted_per_second)}`;
}

/**
 * The figures of the answer given or being given last.
 * @param {Message|undefined} message
 * @returns {string[]}
 */
export function details(message) {
  const timings = message?.timings;
  if (!timings) return [];
  return [
    timings.prompt_ms > 0 && timings.prompt_n > 0 ? `Prompt ${rate(timings.prompt_per_second)}` : "",
    timings.predicted_ms > 0 ? `Answer ${rate(timings.predicted_per_second)}` : "",
    timings.cache_n > 0 ? `${count(timings.cache_n)} cached` : "",
  ].filter(Boolean);
}

/**
 * How many tokens of the context a branch takes.
 * @param {Message[]} path
 * @returns {number} 0 where it is not known.
 */
export function contextTokens(path) {
  const { timings, usage } = path.findLast(({ timings, usage }) => timings ?? usage) ?? {};
  if (usage?.total_tokens) return usage.total_tokens;
  if (!timings) return 0;
  return (timings.cache_n ?? 0) + (timings.prompt_n ?? 0) + (timings.predicted_n ?? 0);
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/**
 * @param {number} milliseconds
 * @returns {string} As in "a moment", "12 s" or "2 min 5 s".
 */
export function duration(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 1) return "a moment";
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function rate(perSecond) {
  return `${perSecond < 100 ? perSecond.toFixed(1) : count(Math.round(perSecond))} t/s`;
}
