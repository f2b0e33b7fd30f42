import { fill, h, iconButton } from "../dom.js";
import { showDialog } from "./dialog.js";

/**
 * Lets the user change the shown conversation's system prompt, and keep prompts for others.
 * @param {{settings: import("../settings.js").Settings, session: import("../session.js").Session}} app
 */
export function showSystemPrompt({ settings, session }) {
  const { system } = session.conversation;
  const field = h("textarea", {
    class: "field", "aria-label": "System prompt", autofocus: true,
    placeholder: "How the model should answer, for example: “You are terse and use metric units.”",
  });
  field.value = system;
  const asDefault = h("input", { type: "checkbox", checked: Boolean(system) && system === settings.get("system") });
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        const text = field.value.trim();
        if (asDefault.checked) settings.set({ system: text });
        else if (settings.get("system") === system) settings.set({ system: "" });
        session.setSystem(text);
        dialog.close();
      },
    },
    field,
    h("label", { class: "check" }, asDefault, "Use it for new chats too"),
    savedPrompts(settings, field),
    h("div", { class: "dialog-actions" }, h("button", { class: "button primary" }, "Use")),
  );
  const dialog = showDialog("System prompt", [form]);
}

/** The list of kept prompts, and the way to keep the one in the field. */
function savedPrompts(settings, field) {
  const list = h("ul", { class: "rows" });
  const name = h("input", { class: "field", placeholder: "Name", "aria-label": "Name of the prompt" });
  const change = (prompts) => {
    settings.set({ prompts });
    show();
  };
  const row = (prompt) =>
    h(
      "li",
      {},
      h("span", { title: prompt.text }, prompt.name),
      h(
        "button",
        {
          type: "button", class: "quiet-button", "aria-label": `Insert ${prompt.name}`,
          onclick: () => {
            field.value = prompt.text;
            field.focus();
          },
        },
        "Insert",
      ),
      iconButton("close", `Delete ${prompt.name}`, {
        onclick: () => change(settings.get("prompts").filter((other) => other !== prompt)),
      }),
    );
  const show = () => fill(list, ...settings.get("prompts").map(row));
  const save = () => {
    const text = field.value.trim();
    if (!name.value.trim() || !text) {
      (text ? name : field).focus();
      return;
    }
    const prompt = { name: name.value.trim(), text };
    name.value = "";
    change([...settings.get("prompts").filter((other) => other.name !== prompt.name), prompt]);
  };
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    save();
  });
  show();
  return h(
    "section",
    {},
    h("h3", {}, "Saved prompts"),
    list,
    h(
      "div",
      { class: "inline-form" },
      name,
      h("button", { type: "button", class: "button", onclick: save }, "Save this prompt"),
    ),
  );
}
