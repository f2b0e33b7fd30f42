const MAX_TEXT_BYTES = 1_000_000;

/** Pixels of the longer side; vision models see no more. */
const MAX_IMAGE_SIDE = 1568;

/** @typedef {import("./tree.js").Attachment} Attachment */

/**
 * Reads a file that the user attaches.
 * @param {File} file
 * @param {boolean} vision Whether the model sees images.
 * @returns {Promise<Attachment>}
 * @throws {Error} For people to read.
 */
export async function readAttachment(file, vision) {
  if (file.type.startsWith("image/") && file.type !== "image/svg+xml") {
    if (!vision) throw new Error(`This model can’t see images (${file.name}).`);
    return { kind: "image", name: file.name, url: await asJpeg(file) };
  }
  if (file.size > MAX_TEXT_BYTES) throw new Error(`${file.name} is larger than 1 MB.`);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new TypeError("binary");
    return { kind: "text", name: file.name, text };
  } catch {
    throw new Error(`${file.name} is not a text file.`);
  }
}

/** Scaled down, and in a format that every engine reads. */
async function asJpeg(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is not an image that this browser reads.`);
  }
  const scale = Math.min(1, MAX_IMAGE_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.9);
}
