import { h, icon, iconButton } from "../dom.js";

/**
 * Lists attachments.
 * @param {import("../tree.js").Attachment[]} attachments
 * @param {(index: number) => void} [onremove] Offers to take them away.
 * @returns {HTMLElement}
 */
export function attachmentList(attachments, onremove) {
  return h(
    "ul",
    { class: "attachments", "aria-label": "Attachments" },
    ...attachments.map((attachment, index) =>
      h(
        "li",
        { class: "attachment" },
        attachment.kind === "image"
          ? h("img", { src: attachment.url, alt: attachment.name })
          : [icon("file"), h("span", {}, attachment.name)],
        onremove && iconButton("close", `Remove ${attachment.name}`, { onclick: () => onremove(index) }),
      ),
    ),
  );
}
