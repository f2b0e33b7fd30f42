import { fill, h, icon, iconButton } from "../dom.js";
import { download, exportConversations } from "../transfer.js";
import { confirmed, showShortcuts } from "./dialog.js";
import { showMenu } from "./menu.js";

const DAY = 24 * 60 * 60 * 1000;

/** Typing may go on for this long before a search starts, in milliseconds. */
const SEARCH_DELAY = 120;

const isPhone = matchMedia("(max-width: 48rem)");

/** The list of conversations. */
export class SidebarView {
  /**
   * @param {import("../session.js").Session} session
   * @param {import("../store.js").Store} store
   * @param {{newChat: () => void, open: (id: string) => void, showSettings: () => void,
   *   toggleTheme: () => void}} actions
   */
  constructor(session, store, actions) {
    this.session = session;
    this.store = store;
    this.actions = actions;
    this.search = document.getElementById("search");
    this.list = document.getElementById("conversations");
    this.searching = new AbortController();
    this.build();
    session.addEventListener("list", () => this.update());
    session.addEventListener("change", () => this.mark());
    this.update();
  }

  /** Shows or hides the list. */
  toggle() {
    document.body.classList.toggle(isPhone.matches ? "drawer-open" : "sidebar-closed");
    this.updateModality();
    if (document.body.classList.contains("drawer-open")) document.getElementById("new-chat").focus();
  }

  /** Closes the list where it lies over the conversation. */
  closeDrawer() {
    document.body.classList.remove("drawer-open");
    this.updateModality();
  }

  /** Puts the cursor into the search field. */
  focusSearch() {
    if (!this.search.checkVisibility({ visibilityProperty: true })) this.toggle();
    this.search.focus();
    this.search.select();
  }

  /** Reads the list anew. */
  async update() {
    this.searching.abort();
    this.searching = new AbortController();
    const { signal } = this.searching;
    const text = this.search.value.trim();
    const conversations = await this.store.conversations();
    const found = text ? await this.store.search(text, signal) : new Map();
    if (signal.aborted) return;
    const shown = text
      ? conversations.filter(({ id, title }) => found.has(id) || title.toLowerCase().includes(text.toLowerCase()))
      : conversations;
    const groups = text ? [["Found", shown]] : byAge(shown);
    fill(
      this.list,
      ...groups.flatMap(([name, group]) => [
        h("h2", {}, name),
        h("ul", {}, ...group.map((conversation) => this.row(conversation, found.get(conversation.id)))),
      ]),
      !shown.length && h("p", {}, text ? "Nothing found." : "Your conversations will be here."),
    );
    this.mark();
  }

  build() {
    fill(document.getElementById("new-chat"), icon("plus"), "New chat");
    document.getElementById("new-chat").addEventListener("click", this.actions.newChat);
    fill(document.getElementById("search-icon"), icon("search"));
    fill(document.getElementById("search-key"), "Ctrl K");
    fill(
      document.getElementById("sidebar-close"),
      iconButton("close", "Close the list", { class: "phone-only", onclick: () => this.closeDrawer() }),
    );
    fill(
      document.getElementById("sidebar-foot"),
      h("button", { type: "button", class: "sidebar-button", onclick: this.actions.showSettings }, icon("settings"), "Settings"),
      h(
        "button",
        {
          type: "button", class: "icon-button", "aria-label": "Light or dark", title: "Light or dark",
          onclick: this.actions.toggleTheme,
        },
        icon("moon"),
      ),
      h(
        "button",
        { type: "button", class: "icon-button desktop-only", "aria-label": "Keyboard", title: "Keyboard", onclick: showShortcuts },
        "?",
      ),
    );
    document.getElementById("backdrop").addEventListener("click", () => this.closeDrawer());
    this.search.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.update(), SEARCH_DELAY);
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.search.value = "";
      this.search.blur();
      this.update();
    });
  }

  row({ id, title }, excerpt) {
    const item = h(
      "li",
      { class: "conversation", "data-id": id },
      h(
        "button",
        { type: "button", class: "conversation-open", title, onclick: () => this.actions.open(id) },
        h("span", {}, title),
        excerpt && h("span", { class: "excerpt" }, excerpt),
      ),
      iconButton("more", `More for ${title}`, {
        "aria-haspopup": "menu",
        onclick: ({ currentTarget }) =>
          showMenu(currentTarget, [
            { label: "Rename", action: () => this.rename(item, id, title) },
            { label: "Export", action: () => this.export(id, title) },
            { label: "Delete", danger: true, action: () => this.remove(id, title) },
          ]),
      }),
    );
    return item;
  }

  rename(item, id, title) {
    const field = h("input", { class: "field", value: title, "aria-label": "Title" });
    let done = false;
    const finish = async (keep) => {
      if (done) return;
      done = true;
      const name = field.value.trim();
      if (keep && name) await this.session.rename(id, name);
      else await this.update();
    };
    field.addEventListener("blur", () => finish(true));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key !== "Escape") return;
      event.stopPropagation();
      finish(false);
    });
    fill(item, field);
    field.focus();
    field.select();
  }

  async export(id, title) {
    const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
    download(`${name}.json`, await exportConversations(this.store, [id]));
  }

  async remove(id, title) {
    if (await confirmed("Delete the conversation?", `“${title}” can’t be brought back.`, "Delete")) {
      await this.session.remove(id);
    }
  }

  mark() {
    for (const item of this.list.querySelectorAll(".conversation")) {
      const current = item.dataset.id === this.session.conversation.id;
      item.classList.toggle("current", current);
      item.querySelector(".conversation-open")?.setAttribute("aria-current", String(current));
    }
  }

  /** While the list lies over the conversation, that can't be reached by keyboard either. */
  updateModality() {
    document.getElementById("main").inert = document.body.classList.contains("drawer-open");
  }
}

function byAge(conversations) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const groups = [
    ["Today", midnight],
    ["Yesterday", midnight - DAY],
    ["Past week", midnight - 7 * DAY],
    ["Older", -Infinity],
  ].map(([name, since]) => ({ name, since, members: [] }));
  for (const conversation of conversations) {
    groups.find(({ since }) => conversation.updated >= since).members.push(conversation);
  }
  return groups.filter(({ members }) => members.length).map(({ name, members }) => [name, members]);
}
