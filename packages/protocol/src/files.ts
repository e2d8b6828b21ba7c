import { z } from "zod";
import { WorkspacePathSchema } from "./space.js";

export const MAX_JSON_FILE_BYTES = 64 * 1024 ** 2;

export const FileEntrySchema = z.object({
  name: z.string(),
  path: z.string(),
  type: z.enum(["file", "dir", "symlink", "other"]),
  size: z.number(),
  mtimeMs: z.number(),
});
export type FileEntry = z.infer<typeof FileEntrySchema>;

export const ListFilesQuerySchema = z.object({ path: WorkspacePathSchema.default("/") });
export const FileListSchema = z.object({ path: z.string(), entries: z.array(FileEntrySchema) });
export type FileList = z.infer<typeof FileListSchema>;

export const ReadFileQuerySchema = z.object({
  path: WorkspacePathSchema.min(1),
  maxBytes: z.coerce.number().int().min(0).max(MAX_JSON_FILE_BYTES).default(262_144),
});
export const FileContentSchema = z.object({
  path: z.string(),
  contentBase64: z.string(),
  truncated: z.boolean(),
});
export type FileContent = z.infer<typeof FileContentSchema>;

export const WriteFileQuerySchema = z.object({ path: WorkspacePathSchema.min(1) });
export const WriteFileRequestSchema = z.strictObject({ contentBase64: z.base64() });
