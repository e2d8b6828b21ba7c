import * as z from "zod";
import { WorkspacePathSchema } from "./space.js";

/** The most that a file's content may be inside JSON; the raw routes have no limit. */
export const MAX_JSON_FILE_BYTES = 64 * 1024 ** 2;
export const MAX_LISTED_ENTRIES = 10_000;
export const MAX_FOUND_ENTRIES = 10_000;

const flag = z
  .enum(["true", "false", "1", "0"])
  .transform((text) => text === "true" || text === "1")
  .optional();

const count = (max: number, initial: number) =>
  z.coerce.number().int().min(1).max(max).default(initial);

const PathBase64Schema = z
  .union([z.base64(), z.base64url()])
  .refine((text) => text.length <= 8192, "must be at most 8192 characters");

/** A place in the workspace: as text, or as the bytes of a name that is no UTF-8. Neither is the workspace itself. */
const place = {
  path: WorkspacePathSchema.optional().describe(
    'Rooted at /workspace: "/a.txt" is /workspace/a.txt',
  ),
  pathBase64: PathBase64Schema.optional().describe("Instead of path, where the name is not UTF-8"),
};

export const FileModeSchema = z
  .string()
  .regex(/^0?[0-7]{3}$/, 'must be three octal digits, such as "644"')
  .describe('Permissions, in octal: "644"');

export const FileTypeSchema = z.enum(["file", "dir", "symlink", "other"]);

export const FileEntrySchema = z
  .object({
    name: z.string(),
    nameBase64: z.string().optional().describe("The name's bytes, where they are not UTF-8"),
    path: z.string(),
    pathBase64: z.string().optional().describe("The path's bytes, where they are not UTF-8"),
    type: FileTypeSchema,
    size: z.number(),
    mtimeMs: z.number(),
    mode: FileModeSchema.optional(),
    target: z.string().optional().describe("Where a symlink points to"),
  })
  .meta({ id: "FileEntry" });
export type FileEntry = z.infer<typeof FileEntrySchema>;

export const FileStatSchema = FileEntrySchema.extend({
  uid: z.number().optional(),
  gid: z.number().optional(),
  etag: z.string().optional().describe("For If-Match; a sleeping space's files have none"),
}).meta({ id: "FileStat" });
export type FileStat = z.infer<typeof FileStatSchema>;

export const PlaceQuerySchema = z.object(place);

export const ListFilesQuerySchema = z.object({
  ...place,
  limit: count(MAX_LISTED_ENTRIES, MAX_LISTED_ENTRIES),
  cursor: z.string().max(4096).optional().describe("The nextCursor of the page before"),
});
export const FileListSchema = z
  .object({
    path: z.string(),
    entries: z.array(FileEntrySchema),
    nextCursor: z.string().optional().describe("Where more follows"),
  })
  .meta({ id: "FileList" });
export type FileList = z.infer<typeof FileListSchema>;

export const ReadFileQuerySchema = z.object({
  ...place,
  maxBytes: z.coerce.number().int().min(0).max(MAX_JSON_FILE_BYTES).default(262_144),
});
export const FileContentSchema = z
  .object({
    path: z.string(),
    contentBase64: z.string(),
    truncated: z.boolean(),
    size: z.number().optional(),
    etag: z.string().optional(),
  })
  .meta({ id: "FileContent" });
export type FileContent = z.infer<typeof FileContentSchema>;

export const WriteFileQuerySchema = z.object({
  ...place,
  append: flag.describe("Adds to the file's end instead of replacing it"),
  mode: FileModeSchema.optional(),
});
export const WriteFileRequestSchema = z.strictObject({ contentBase64: z.base64() });
export const FileWrittenSchema = z
  .object({
    message: z.string(),
    path: z.string(),
    pathBase64: z.string().optional(),
    size: z.number(),
    etag: z.string().optional(),
  })
  .meta({ id: "FileWritten" });
export type FileWritten = z.infer<typeof FileWrittenSchema>;

export const FileStatAnswerSchema = z.object({ stat: FileStatSchema });

export const RemoveFileQuerySchema = z.object({
  ...place,
  recursive: flag.describe("A folder with all that is in it"),
});

export const MakeFolderRequestSchema = z.strictObject({
  ...place,
  parents: z
    .boolean()
    .default(true)
    .describe("false: refuse where it exists or its parent doesn't"),
  mode: FileModeSchema.optional(),
});

const fromTo = {
  from: WorkspacePathSchema.optional(),
  fromBase64: PathBase64Schema.optional(),
  to: WorkspacePathSchema.optional(),
  toBase64: PathBase64Schema.optional(),
  overwrite: z.boolean().default(false).describe("Replaces a file that is there"),
};
export const MoveFileRequestSchema = z.strictObject(fromTo);
export const CopyFileRequestSchema = z.strictObject({
  ...fromTo,
  recursive: z.boolean().default(false).describe("A folder with all that is in it"),
});

export const ChmodFileRequestSchema = z.strictObject({ ...place, mode: FileModeSchema });

export const FilesChangedSchema = z
  .object({ message: z.string(), entries: z.number().describe("Files and folders touched") })
  .meta({ id: "FilesChanged" });
export type FilesChanged = z.infer<typeof FilesChangedSchema>;

export const FindFilesQuerySchema = z.object({
  ...place,
  glob: z.string().min(1).max(1024).describe('As in "**/*.ts"; without a "/" it matches names'),
  type: FileTypeSchema.optional(),
  hidden: flag.describe('Names that begin with "." too (default true)'),
  limit: count(MAX_FOUND_ENTRIES, 1000),
});
export const FoundFilesSchema = z
  .object({
    entries: z.array(FileEntrySchema),
    truncated: z.boolean().describe("Whether a limit ended the search"),
  })
  .meta({ id: "FoundFiles" });
export type FoundFiles = z.infer<typeof FoundFilesSchema>;

export const GrepFilesQuerySchema = z.object({
  ...place,
  pattern: z
    .string()
    .min(1)
    .max(4096)
    .refine((text) => !/[\0\n]/.test(text), "must be one line without NUL characters"),
  literal: flag.describe("The pattern is text, not a regular expression"),
  ignoreCase: flag,
  glob: z
    .string()
    .min(1)
    .max(1024)
    .refine((text) => !text.includes("\0"))
    .optional()
    .describe('Only files whose name matches, as in "*.ts"'),
  limit: count(MAX_FOUND_ENTRIES, 1000),
});
export const GrepMatchSchema = z.object({
  path: z.string(),
  pathBase64: z.string().optional(),
  line: z.number().int().describe("From 1"),
  text: z.string().describe("The line, cut at 4096 characters"),
});
export const GrepAnswerSchema = z
  .object({
    matches: z.array(GrepMatchSchema),
    truncated: z.boolean().describe("Whether a limit ended the search"),
    engine: z.enum(["ripgrep", "grep"]).describe("Whose regular expressions these are"),
  })
  .meta({ id: "GrepAnswer" });
export type GrepAnswer = z.infer<typeof GrepAnswerSchema>;

export const ArchiveFormatSchema = z.enum(["tar", "tar.gz", "zip"]);
export type ArchiveFormat = z.infer<typeof ArchiveFormatSchema>;
export const DownloadFolderQuerySchema = z.object({
  ...place,
  format: ArchiveFormatSchema.default("tar"),
});
export const UploadFolderQuerySchema = z.object({
  ...place,
  format: ArchiveFormatSchema.optional().describe("Told from the Content-Type where absent"),
});
export const UploadedArchiveSchema = z
  .object({
    message: z.string(),
    entries: z.number(),
    skipped: z
      .array(z.object({ path: z.string(), reason: z.string() }))
      .describe("Entries that a space can't have, such as devices; at most 100 are named"),
  })
  .meta({ id: "UploadedArchive" });
export type UploadedArchive = z.infer<typeof UploadedArchiveSchema>;

export const UploadedFilesSchema = z
  .object({ message: z.string(), files: z.array(FileWrittenSchema.omit({ message: true })) })
  .meta({ id: "UploadedFiles" });
export type UploadedFiles = z.infer<typeof UploadedFilesSchema>;

export const WatchFilesQuerySchema = z.object({ ...place, recursive: flag });

/** What a watch tells, one server-sent event each, named by `type`. */
export const WatchEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["created", "modified", "removed"]),
    path: z.string(),
    pathBase64: z.string().optional(),
    dir: z.boolean(),
  }),
  z.object({
    type: z.literal("renamed"),
    from: z.string(),
    fromBase64: z.string().optional(),
    path: z.string(),
    pathBase64: z.string().optional(),
    dir: z.boolean(),
  }),
  z.object({ type: z.literal("overflow") }).describe("Events were lost: look at the folder again"),
]);
export type WatchEvent = z.infer<typeof WatchEventSchema>;
