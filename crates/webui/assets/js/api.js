import { serverSentEvents } from "./stream.js";

/** An answer of the server that is an error, or none (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The server's routes, relative to the page, so that a prefix of the path is kept. */
export class Api {
  /** @param {() => string} key Gives the API key, or "". */
  constructor(key) {
    this.key = key;
  }

  /** @returns {Promise<string[]>} Names for the request's `model`. */
  async models() {
    const { data } = await this.json("v1/models");
    return data.map((model) => model.id);
  }

  /**
   * What the server says about itself and a model.
   * @param {string|null} model Null where the server has only one.
   * @returns {Promise<object>}
   */
  props(model) {
    return this.json(model ? `props?model=${encodeURIComponent(model)}` : "props");
  }

  /** @returns {Promise<boolean>} Whether requests will be answered now. */
  async healthy() {
    try {
      return (await fetch("health")).ok;
    } catch {
      return false;
    }
  }

  /**
   * Asks for an answer.
   * @param {object} body Of `/v1/chat/completions`.
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<object>} Its chunks.
   */
  async *chat(body, signal) {
    const response = await this.request("v1/chat/completions", {
      method: "POST",
      body: JSON.stringify(body),
      signal,
    });
    for await (const data of serverSentEvents(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new ApiError(chunk.error.message, chunk.error.code ?? response.status);
      yield chunk;
    }
  }

  async json(path) {
    return (await this.request(path)).json();
  }

  async request(path, options = {}) {
    const headers = { "Content-Type": "application/json" };
    if (this.key()) headers.Authorization = `Bearer ${this.key()}`;
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server can’t be reached.", 0);
    }
    if (!response.ok) throw new ApiError(await errorMessage(response), response.status);
    return response;
  }
}

async function errorMessage(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}
