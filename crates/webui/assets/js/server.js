/** How often a server that is not ready is asked again, in milliseconds. */
const RETRY_INTERVAL = 1000;

/** What is known about the server and the chosen model. Sends `change`. */
export class Server extends EventTarget {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./settings.js").Settings} settings
   */
  constructor(api, settings) {
    super();
    this.api = api;
    this.settings = settings;
    /** @type {"connecting"|"ready"|"waiting"|"denied"} */
    this.state = "connecting";
    this.models = [];
    /** Tokens that fit, or 0 where it is not known. */
    this.context = 0;
    this.vision = false;
    /** The server's values by `Sampler.key`. */
    this.defaults = {};
  }

  /** @returns {string|null} The model to ask for. */
  get model() {
    return this.settings.get("model");
  }

  /** Asks until the server is ready, or wants a key. */
  async connect() {
    for (;;) {
      try {
        await this.load();
        this.enter("ready");
        return;
      } catch (error) {
        if (error.status === 401) {
          this.enter("denied");
          return;
        }
        this.enter("waiting");
        do await new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL));
        while (!(await this.api.healthy()));
      }
    }
  }

  /** Chooses the model for answers from now on. */
  async choose(model) {
    this.settings.set({ model });
    await this.connect();
  }

  async load() {
    this.models = await this.api.models();
    if (!this.models.includes(this.model)) this.settings.set({ model: this.models[0] ?? null });
    const props = await this.api.props(this.models.length > 1 ? this.model : null);
    const generation = props.default_generation_settings ?? {};
    this.context = generation.n_ctx ?? 0;
    this.defaults = generation.params ?? {};
    this.vision = props.modalities?.vision === true;
  }

  enter(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * A model's name for people: without folder and ending.
 * @param {string|null} model
 * @returns {string}
 */
export function modelName(model) {
  return (model ?? "").split(/[\\/]/).at(-1).replace(/\.(gguf|llamafile)$/i, "");
}
