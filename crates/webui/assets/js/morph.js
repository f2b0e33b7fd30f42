/**
 * Changes `target` into a copy of `source`, keeping every node that can stay, so that selections and
 * scroll positions survive and nothing flickers. Takes nodes out of `source`.
 * @param {Node} target
 * @param {Node} source Of the same kind and name as `target`.
 */
export function morph(target, source) {
  if (target.nodeType === Node.TEXT_NODE) {
    if (target.data !== source.data) target.data = source.data;
    return;
  }
  copyAttributes(target, source);
  let old = target.firstChild;
  let wanted = source.firstChild;
  while (wanted) {
    const next = wanted.nextSibling;
    if (!old) {
      target.append(wanted);
    } else {
      const after = old.nextSibling;
      if (old.nodeName === wanted.nodeName) morph(old, wanted);
      else old.replaceWith(wanted);
      old = after;
    }
    wanted = next;
  }
  while (old) {
    const after = old.nextSibling;
    old.remove();
    old = after;
  }
}

function copyAttributes(target, source) {
  if (target.style && target.style.cssText !== source.style.cssText) {
    target.style.cssText = source.style.cssText;
  }
  for (const { name, value } of source.attributes) {
    // The policy forbids styles set as attributes; those set above appear here.
    if (name !== "style" && target.getAttribute(name) !== value) target.setAttribute(name, value);
  }
  for (const { name } of [...target.attributes]) {
    if (!source.hasAttribute(name)) target.removeAttribute(name);
  }
}
