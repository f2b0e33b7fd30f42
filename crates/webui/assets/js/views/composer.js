import { readAttachment } from "../attachments.js";
import { fill, h, icon, iconButton } from "../dom.js";
import { attachmentList } from "./attachments.js";
import { showNotice } from "./notice.js";

/** The field to write messages in. */
export class ComposerView {
  /**
   * @param {import("../session.js").Session} session
   * @param {import("../server.js").Server} server
   * @param {{editLast: () => void}} actions
   */
  constructor(session, server, actions) {
    this.session = session;
    this.server = server;
    this.actions = actions;
    /** @type {import("../tree.js").Attachment[]} */
    this.attachments = [];
    this.form = document.getElementById("composer");
    this.list = h("div");
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.picked() });
    this.field = h("textarea", {
      id: "prompt",
      rows: "1",
      placeholder: "Write a message",
      "aria-label": "Message",
      enterkeyhint: "send",
      autofocus: true,
    });
    this.button = h("button", { id: "send", class: "icon-button" });
    fill(
      this.form,
      this.list,
      h(
        "div",
        { class: "composer-row" },
        iconButton("attach", "Attach files", { onclick: () => this.picker.click() }),
        this.picker,
        this.field,
        this.button,
      ),
    );
    this.listen();
    this.updateButton();
  }

  /** Puts the cursor into the field. */
  focus() {
    this.field.focus();
  }

  listen() {
    const { form, field } = this;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.session.busy) this.session.stop();
      else this.send();
    });
    field.addEventListener("input", () => this.resized());
    field.addEventListener("keydown", (event) => this.pressed(event));
    field.addEventListener("paste", ({ clipboardData }) => {
      // Office programs add a picture of the text.
      if (!clipboardData.types.includes("text/plain")) this.attach([...clipboardData.files]);
    });
    this.session.addEventListener("change", () => this.updateButton());
    const hasFiles = ({ dataTransfer }) => dataTransfer.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      form.classList.add("dropping");
    });
    document.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!relatedTarget) form.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      form.classList.remove("dropping");
      this.attach([...event.dataTransfer.files]);
    });
  }

  pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      if (!this.session.busy) this.send();
    } else if (event.key === "ArrowUp" && !this.field.value) {
      event.preventDefault();
      this.actions.editLast();
    }
  }

  send() {
    const content = this.field.value.trim();
    if (!content && !this.attachments.length) return;
    this.session.send(content, this.attachments);
    this.field.value = "";
    this.attachments = [];
    this.listAttachments();
    this.resized();
  }

  picked() {
    this.attach([...this.picker.files]);
    this.picker.value = "";
  }

  async attach(files) {
    for (const file of files) {
      try {
        this.attachments.push(await readAttachment(file, this.server.vision));
      } catch (error) {
        showNotice(error.message);
      }
    }
    if (files.length) this.listAttachments();
  }

  listAttachments() {
    const remove = (index) => {
      this.attachments.splice(index, 1);
      this.listAttachments();
    };
    fill(this.list, this.attachments.length > 0 && attachmentList(this.attachments, remove));
    this.updateButton();
  }

  resized() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
    this.updateButton();
  }

  updateButton() {
    const { busy } = this.session;
    const label = busy ? "Stop" : "Send";
    this.button.disabled = !busy && !this.field.value.trim() && !this.attachments.length;
    this.button.classList.toggle("stop", busy);
    if (this.button.title === label) return;
    this.button.title = label;
    this.button.setAttribute("aria-label", label);
    fill(this.button, icon(busy ? "stop" : "send"));
  }
}
