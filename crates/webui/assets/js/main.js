import { Api } from "./api.js";
import { listenForKeys } from "./keyboard.js";
import { Server } from "./server.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { Store } from "./store.js";
import { ComposerView } from "./views/composer.js";
import { askForKey, showShortcuts } from "./views/dialog.js";
import { FiguresView } from "./views/figures.js";
import { HeaderView } from "./views/header.js";
import { hideNotice, showNotice } from "./views/notice.js";
import { showSettings } from "./views/settings-dialog.js";
import { SidebarView } from "./views/sidebar.js";
import { showSystemPrompt } from "./views/system-dialog.js";
import { ThreadView } from "./views/thread.js";

/** The page's address names the shown conversation: `#/c/<id>`. */
const ROUTE = "#/c/";

const settings = new Settings();
const api = new Api(() => settings.get("key"));
const server = new Server(api, settings);

main().catch((error) => {
  showNotice(`The browser’s database can’t be opened (${error.message}).`, { stays: true });
});

async function main() {
  const store = await Store.open("llamafile");
  const session = new Session(store, api, settings);
  if (addressed()) await session.open(addressed());
  const app = { settings, server, session, store };

  const editSystem = () => showSystemPrompt(app);
  const newChat = () => {
    sidebar.closeDrawer();
    session.startNew();
    composer.focus();
  };
  const open = async (id) => {
    sidebar.closeDrawer();
    if (id !== session.conversation.id && !(await session.open(id))) newChat();
  };
  const thread = new ThreadView(session, server, { editSystem });
  const composer = new ComposerView(session, server, { editLast: () => thread.editLast() });
  const sidebar = new SidebarView(session, store, {
    newChat,
    open,
    toggleTheme,
    showSettings: () => {
      sidebar.closeDrawer();
      showSettings(app);
    },
  });
  const toggleSidebar = () => sidebar.toggle();
  new HeaderView(session, server, { toggleSidebar, newChat, editSystem });
  new FiguresView(session, server);

  listenForKeys({
    newChat,
    toggleSidebar,
    stop: () => {
      session.stop();
      sidebar.closeDrawer();
    },
    search: () => sidebar.focusSearch(),
    write: () => composer.focus(),
    help: showShortcuts,
  });
  settings.addEventListener("change", applyTheme);
  server.addEventListener("change", showServerState);
  session.addEventListener("denied", unlock);
  session.addEventListener("unsaved", () => showNotice("The browser has no room to keep this conversation."));
  for (const type of ["change", "list"]) session.addEventListener(type, () => showAddress(session));
  addEventListener("hashchange", () => (addressed() ? open(addressed()) : newChat()));
  showAddress(session);

  await server.connect();
}

function showServerState() {
  if (server.state === "waiting") showNotice("Waiting for the server…", { stays: true });
  else hideNotice();
  if (server.state === "denied") unlock();
}

/** Asks for the API key, once at a time. */
async function unlock() {
  if (document.querySelector("dialog[open]")) return;
  const key = await askForKey();
  if (key === null) {
    showNotice("The server wants an API key.", { action: "Enter it", onaction: unlock, stays: true });
    return;
  }
  settings.set({ key });
  await server.connect();
}

function applyTheme() {
  const theme = settings.get("theme");
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function toggleTheme() {
  const theme = settings.get("theme");
  const dark = theme === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
  settings.set({ theme: dark ? "light" : "dark" });
}

function showAddress(session) {
  const { conversation, messages } = session;
  const route = messages.size ? ROUTE + conversation.id : "";
  document.title = conversation.title ? `${conversation.title} · llamafile` : "llamafile";
  if (location.hash !== route) history.pushState(null, "", route || location.pathname + location.search);
}

/** The conversation that the address names, or "". */
function addressed() {
  return location.hash.startsWith(ROUTE) ? location.hash.slice(ROUTE.length) : "";
}
