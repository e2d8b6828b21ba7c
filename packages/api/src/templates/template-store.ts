import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  ClawdspaceError,
  type Template,
  TemplateNameSchema,
  TemplateSchema,
} from "@clawdspace/protocol";
import { parseDocument } from "yaml";
import { SHIPPED_TEMPLATES } from "./shipped.js";

/** The templates of this node: one YAML file each in a folder that people edit. */
export class TemplateStore {
  /** @param folder is made, with the shipped templates in it, by `prepare`. */
  constructor(private readonly folder: string) {}

  /** Makes the folder; writes shipped templates that are missing, and managed ones anew. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const present = new Set(await readdir(this.folder));
    for (const [name, yaml] of Object.entries(SHIPPED_TEMPLATES)) {
      const file = `${name}.yaml`;
      const managed = parseTemplate(yaml).managed === true;
      if (managed || !present.has(file)) await writeFile(join(this.folder, file), yaml);
    }
  }

  /** Throws `not_found`, or `unprocessable` where the file doesn't hold a valid template. */
  async get(name: string): Promise<Template> {
    if (!TemplateNameSchema.safeParse(name).success) throw noSuchTemplate(name);
    const yaml = await readFile(join(this.folder, `${name}.yaml`), "utf8").catch(() => {
      throw noSuchTemplate(name);
    });
    return parseTemplate(yaml);
  }
}

const noSuchTemplate = (name: string) =>
  new ClawdspaceError("not_found", `There is no template "${name}" on this node.`);

/** Throws `unprocessable` with each fault's path. */
export function parseTemplate(yaml: string): Template {
  const document = parseDocument(yaml);
  const fault = document.errors[0];
  if (fault)
    throw new ClawdspaceError("unprocessable", `The template is no valid YAML: ${fault.message}`);
  const parsed = TemplateSchema.safeParse(document.toJS());
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({
    path: path.join("."),
    message,
  }));
  throw new ClawdspaceError(
    "unprocessable",
    `The template is not valid: ${issues.map((issue) => `${issue.path || "top level"}: ${issue.message}`).join("; ")}`,
    { issues },
  );
}
