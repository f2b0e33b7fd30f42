import { fill, h } from "../dom.js";
import { COMMON, MORE } from "../samplers.js";
import { download, exportConversations, importConversations } from "../transfer.js";
import { confirmed, showDialog } from "./dialog.js";
import { showNotice } from "./notice.js";

/** How servers say −1. */
const RANDOM_SEED = 0xffffffff;

/**
 * Shows the settings; changes hold at once.
 * @param {{settings: import("../settings.js").Settings, server: import("../server.js").Server,
 *   session: import("../session.js").Session, store: import("../store.js").Store}} app
 */
export function showSettings({ settings, server, session, store }) {
  const samplers = h("div", { class: "samplers" });
  const showSamplers = () => fill(samplers, ...samplerSections(settings, server.defaults));
  showSamplers();
  const reset = () => {
    settings.set({ samplers: {} });
    showSamplers();
  };
  showDialog("Settings", [
    h(
      "div",
      { class: "dialog-body" },
      section("Appearance", themes(settings)),
      samplers,
      h(
        "div",
        { class: "dialog-actions start" },
        h("button", { type: "button", class: "button", onclick: reset }, "Use the server’s defaults"),
      ),
      section("API key", keyField(settings, server)),
      section("Conversations", conversationActions(session, store)),
    ),
  ]);
}

function section(title, ...content) {
  return h("section", {}, h("h3", {}, title), ...content);
}

function themes(settings) {
  const option = (value, label) =>
    h(
      "label",
      {},
      h("input", {
        class: "hidden", type: "radio", name: "theme", value, checked: settings.get("theme") === value,
        onchange: () => settings.set({ theme: value }),
      }),
      label,
    );
  return h(
    "fieldset",
    { class: "segments", "aria-label": "Theme" },
    option("system", "System"),
    option("light", "Light"),
    option("dark", "Dark"),
  );
}

function samplerSections(settings, defaults) {
  const grid = (samplers) =>
    h("div", { class: "grid" }, ...samplers.map((sampler) => samplerField(sampler, settings, defaults)));
  const used = MORE.some(({ key }) => key in settings.get("samplers"));
  return [
    section("Sampling", grid(COMMON)),
    h("details", { open: used }, h("summary", {}, "More sampling"), grid(MORE)),
  ];
}

function samplerField({ key, label, hint, step, min, max }, settings, defaults) {
  const value = settings.get("samplers")[key];
  const field = h("input", {
    class: "field", type: "number", inputmode: "decimal", step: "any", min, max,
    value: value ?? null,
    placeholder: placeholder(defaults[key]),
    "data-sampler": key,
    onkeydown: (event) => stepField(event, field, step),
    oninput: () => {
      const samplers = { ...settings.get("samplers") };
      delete samplers[key];
      if (field.value !== "" && field.validity.valid) samplers[key] = field.valueAsNumber;
      settings.set({ samplers });
    },
  });
  return h("label", { class: "labelled" }, label, field, h("small", {}, hint));
}

/** Any number is valid, so arrows need a step of their own. */
function stepField(event, field, step) {
  const sign = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!sign) return;
  event.preventDefault();
  const start = Number(field.value || field.placeholder) || 0;
  const { min, max } = field;
  const value = Math.min(Math.max(start + sign * step, min === "" ? -Infinity : min), max === "" ? Infinity : max);
  field.value = String(Number(value.toFixed(4)));
  field.dispatchEvent(new Event("input"));
}

function placeholder(value) {
  if (value === RANDOM_SEED) return "−1";
  return Number.isFinite(value) ? String(Number(value.toFixed(4))) : "Default";
}

function keyField(settings, server) {
  const field = h("input", {
    class: "field", type: "password", autocomplete: "off", "aria-label": "API key",
    value: settings.get("key"), placeholder: "None",
    onchange: () => {
      settings.set({ key: field.value.trim() });
      server.connect();
    },
  });
  return field;
}

function conversationActions(session, store) {
  const picker = h("input", {
    type: "file", accept: ".json,application/json", hidden: true, id: "import",
    onchange: async () => {
      const [file] = picker.files;
      picker.value = "";
      if (file) await importFile(file, session, store);
    },
  });
  const button = (label, action, extra = "") =>
    h("button", { type: "button", class: `button ${extra}`.trim(), onclick: action }, label);
  return h(
    "div",
    { class: "dialog-actions start" },
    button("Export all", () => exportAll(store)),
    button("Import…", () => picker.click()),
    button("Delete all", () => removeAll(session, store), "danger"),
    picker,
  );
}

async function exportAll(store) {
  const ids = (await store.conversations()).map(({ id }) => id);
  download("llamafile-conversations.json", await exportConversations(store, ids));
}

async function importFile(file, session, store) {
  try {
    const number = await importConversations(store, await file.text());
    session.announce("list");
    showNotice(number === 1 ? "1 conversation imported." : `${number} conversations imported.`);
    document.querySelector("dialog[open]")?.close();
  } catch (error) {
    await alertUser(error.message);
  }
}

async function removeAll(session, store) {
  const sure = await confirmed("Delete all conversations?", "They can’t be brought back.", "Delete all");
  if (!sure) return;
  for (const { id } of await store.conversations()) await session.remove(id);
}

function alertUser(message) {
  return new Promise((resolve) => {
    const dialog = showDialog("Import", [h("div", { class: "dialog-body" }, h("p", { role: "alert" }, message))], { narrow: true });
    dialog.addEventListener("close", resolve);
  });
}
