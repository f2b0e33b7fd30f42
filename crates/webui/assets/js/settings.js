const STORAGE_KEY = "llamafile.settings";

const DEFAULTS = {
  /** "system", "light" or "dark"; `theme.js` reads it before the page is painted. */
  theme: "system",
  /** The model asked for last. */
  model: null,
  key: "",
  /** Values by `Sampler.key`; what is missing is left to the server. */
  samplers: {},
  /** The system prompt of new conversations. */
  system: "",
  /** Saved system prompts: `{name, text}`. */
  prompts: [],
};

/** What the user has chosen, kept in the browser. Sends `change`. */
export class Settings extends EventTarget {
  constructor() {
    super();
    this.values = { ...DEFAULTS, ...read() };
  }

  /** @param {keyof typeof DEFAULTS} name */
  get(name) {
    return this.values[name];
  }

  /** @param {Partial<typeof DEFAULTS>} changes */
  set(changes) {
    Object.assign(this.values, changes);
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(this.values));
    } catch {
      // No room, or storage is off: it holds until the page is closed.
    }
    this.dispatchEvent(new Event("change"));
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    return {};
  }
}
