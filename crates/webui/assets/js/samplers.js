/**
 * A setting of how tokens are picked, sent under `key` where the user has set it.
 * @typedef {{key: string, label: string, hint: string, step: number, min?: number,
 *   max?: number}} Sampler
 */

/** @type {Sampler[]} */
export const COMMON = [
  { key: "temperature", label: "Temperature", hint: "Higher is more varied; 0 always picks the likeliest token", step: 0.05, min: 0 },
  { key: "top_k", label: "Top K", hint: "Only the K likeliest tokens; 0 is all", step: 1, min: 0 },
  { key: "top_p", label: "Top P", hint: "Only the likeliest tokens that together reach P", step: 0.01, min: 0, max: 1 },
  { key: "min_p", label: "Min P", hint: "Only tokens with P times the likelihood of the likeliest", step: 0.01, min: 0, max: 1 },
  { key: "max_tokens", label: "Max tokens", hint: "Where an answer is cut off; −1 is never", step: 1, min: -1 },
  { key: "seed", label: "Seed", hint: "The same seed gives the same answer; −1 is random", step: 1, min: -1 },
];

/** @type {Sampler[]} */
export const MORE = [
  { key: "repeat_penalty", label: "Repeat penalty", hint: "Above 1, recent tokens get less likely", step: 0.01, min: 0 },
  { key: "repeat_last_n", label: "Repeat window", hint: "How many tokens are recent; −1 is the whole context", step: 1, min: -1 },
  { key: "presence_penalty", label: "Presence penalty", hint: "Once for each token that has appeared", step: 0.1, min: -2, max: 2 },
  { key: "frequency_penalty", label: "Frequency penalty", hint: "Each time that a token has appeared", step: 0.1, min: -2, max: 2 },
  { key: "typical_p", label: "Typical P", hint: "Only tokens about as surprising as expected; 1 is off", step: 0.01, min: 0, max: 1 },
  { key: "top_n_sigma", label: "Top N sigma", hint: "Only tokens within N deviations of the likeliest; −1 is off", step: 0.1, min: -1 },
  { key: "dynatemp_range", label: "Temperature range", hint: "How far the temperature follows the uncertainty", step: 0.05, min: 0 },
  { key: "dynatemp_exponent", label: "Temperature exponent", hint: "How it follows it", step: 0.05, min: 0 },
  { key: "xtc_probability", label: "XTC probability", hint: "How often the likeliest tokens are left out", step: 0.01, min: 0, max: 1 },
  { key: "xtc_threshold", label: "XTC threshold", hint: "From which likelihood on they are", step: 0.01, min: 0, max: 1 },
  { key: "dry_multiplier", label: "DRY multiplier", hint: "How much repeated sequences are penalised; 0 is off", step: 0.05, min: 0 },
  { key: "dry_base", label: "DRY base", hint: "How fast that grows with their length", step: 0.05, min: 0 },
  { key: "dry_allowed_length", label: "DRY allowed length", hint: "Up to which length nothing happens", step: 1, min: 0 },
  { key: "dry_penalty_last_n", label: "DRY window", hint: "In how many tokens; −1 is the whole context", step: 1, min: -1 },
  { key: "mirostat", label: "Mirostat", hint: "Version 1 or 2 keeps the surprise even; 0 is off", step: 1, min: 0, max: 2 },
  { key: "mirostat_tau", label: "Mirostat tau", hint: "The surprise aimed at", step: 0.1, min: 0 },
  { key: "mirostat_eta", label: "Mirostat eta", hint: "How fast it is corrected", step: 0.01, min: 0 },
];
