/**
 * Copies text.
 * @param {string} text
 */
export async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // At an address that is not secure, like that of another machine, only the old way is there.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/**
 * Copies text and lets the button say so for a moment.
 * @param {HTMLElement} button
 * @param {string} text
 */
export async function copyFrom(button, text) {
  await copyText(text);
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}
