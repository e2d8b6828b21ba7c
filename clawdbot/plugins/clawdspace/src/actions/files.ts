import { asText, editText, imageType } from "@clawdspace/mcp/for-models";
import { ToolInputError } from "../input-error.js";
import { defined, need } from "../parameters.js";
import { type Actions, type Call, type Outcome, said, told } from "./call.js";

type Name =
  | ("files_list" | "files_get" | "files_put" | "files_edit" | "files_copy" | "files_move")
  | ("files_mkdir" | "files_delete" | "files_find" | "files_search");

/** Files of a space; every path is rooted at /workspace. */
export const FILE_ACTIONS: Actions<Name> = {
  files_list: async ({ given, space, stopping }) =>
    told(await space().files.list(given.path ?? "/", stopping)),
  files_get: async (call) => {
    const { bytes, path } = await read(call);
    const size = bytes.length;
    const mimeType = imageType(bytes);
    if (mimeType !== undefined) {
      const data = Buffer.from(bytes).toString("base64");
      return { content: [{ type: "image", data, mimeType }], data: { path, size, mimeType } };
    }
    const text = textOf(bytes, path);
    return said(text, { path, size, text });
  },
  files_put: async (call) => await write(call, need(call.given, "content")),
  files_edit: async (call) => {
    const { given } = call;
    const [oldText, newText] = [need(given, "oldText"), need(given, "newText")];
    const { bytes, path, etag } = await read(call);
    const all = given.replaceAll ?? false;
    const { text, replacements } = editText(textOf(bytes, path), [{ oldText, newText }], all);
    await write(call, text, etag);
    return said(`Replaced ${replacements} times in ${path}.`, { path, replacements });
  },
  files_copy: async ({ given, space }) => {
    const [from, to] = [need(given, "path"), need(given, "to")];
    const { overwrite = false, recursive = false } = given;
    await space().files.copy(from, to, { overwrite, recursive });
    return said(`Copied ${from} to ${to}.`);
  },
  files_move: async ({ given, space }) => {
    const [from, to] = [need(given, "path"), need(given, "to")];
    await space().files.move(from, to, { overwrite: given.overwrite ?? false });
    return said(`Moved ${from} to ${to}.`);
  },
  files_mkdir: async ({ given, space }) => {
    const path = need(given, "path");
    await space().files.mkdir(path);
    return said(`The folder ${path} is there.`);
  },
  files_delete: async ({ given, space }) => {
    const path = need(given, "path");
    await space().files.remove(path, { recursive: given.recursive ?? false });
    return said(`Deleted ${path}.`);
  },
  files_find: async ({ given, space, stopping }) => {
    const options = { path: given.path ?? "/", ...stopping };
    return told(await space().files.find(need(given, "pattern"), options));
  },
  files_search: async ({ given, space, stopping }) => {
    const options = { path: given.path ?? "/", ...stopping };
    return told(await space().files.grep(need(given, "pattern"), options));
  },
};

async function read({ given, space, config, stopping }: Call) {
  const path = need(given, "path");
  const { size, etag } = await space().files.stat(path);
  if (size > config.maxFileBytes) {
    throw new ToolInputError(
      `${path} has ${size} bytes; at most ${config.maxFileBytes} are shown. Read a part by "exec": head -c 4000 FILE.`,
    );
  }
  return { path, etag, bytes: await space().files.read(path, stopping) };
}

function textOf(bytes: Uint8Array, path: string): string {
  const text = asText(bytes);
  if (text !== undefined) return text;
  throw new ToolInputError(
    `${path} is binary (${bytes.length} bytes). Look at it by "exec": file FILE, or xxd FILE | head.`,
  );
}

/** @param ifMatch the etag that the file must still have */
async function write(call: Call, content: string, ifMatch?: string): Promise<Outcome> {
  const { given, space, config, stopping } = call;
  const path = need(given, "path");
  const bytes = Buffer.byteLength(content);
  if (bytes > config.maxFileBytes) {
    throw new ToolInputError(
      `The file has ${bytes} bytes; at most ${config.maxFileBytes} can be written. Make it by "exec" instead.`,
    );
  }
  await space().files.write(path, content, { ...stopping, ...defined({ ifMatch }) });
  return said(`Wrote ${bytes} bytes to ${path}.`);
}
