/** A folder's path with a name below it: join("/", "a") is "/a". */
export const join = (folder: string, name: string) => `${folder === "/" ? "" : folder}/${name}`;

export const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";
export const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

export type Preview = "image" | "markdown" | "text";

const IMAGES = /\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i;

export const previewOf = (path: string): Preview =>
  IMAGES.test(path) ? "image" : /\.(md|markdown)$/i.test(path) ? "markdown" : "text";

/** A file beyond this is downloaded rather than shown. */
export const MAX_SHOWN_BYTES = 2 * 1024 ** 2;

/** Bytes as text; undefined where they are none. */
export function textOf(content: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}

const at = (space: string, what: string, path: string) =>
  `/api/spaces/${encodeURIComponent(space)}/files/${what}?path=${encodeURIComponent(path)}`;

/** Where a browser gets a file, or a folder as a zip, to keep. */
export const downloadUrl = (space: string, path: string, isFolder: boolean) =>
  isFolder ? `${at(space, "archive", path)}&format=zip` : at(space, "raw", path);
