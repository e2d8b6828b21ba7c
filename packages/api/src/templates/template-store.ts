import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  ClawdspaceError,
  type Template,
  TemplateNameSchema,
  type TemplateSource,
  type TemplateSummary,
} from "@clawdspace/protocol";
import { KeyedLock } from "../spaces/keyed-lock.js";
import { parseTemplate } from "./parse-template.js";
import { SHIPPED_TEMPLATES } from "./shipped.js";

const EXTENSION = ".yaml";
const DEFAULT_TEMPLATE = "default";
/** Names the shipped templates that this folder has had once, so that a deleted one stays deleted. */
const SHIPPED_MARK = ".shipped";

/** The templates of this node: one YAML file each in a folder that people edit, kept as they wrote it. */
export class TemplateStore {
  readonly #lock = new KeyedLock();
  #fallback: { yaml: string; template: Template } | undefined;

  /** @param folder is made, with the shipped templates in it, by `prepare`. */
  constructor(private readonly folder: string) {}

  /** Makes the folder; writes shipped templates that it never had, and managed ones anew. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const had = new Set((await this.#read(SHIPPED_MARK))?.split("\n"));
    const present = new Set(await readdir(this.folder));
    for (const [name, yaml] of Object.entries(SHIPPED_TEMPLATES)) {
      const file = name + EXTENSION;
      const missing = !present.has(file) && !had.has(name);
      if (missing || isManaged(name)) await this.#write(file, yaml);
    }
    await this.#write(SHIPPED_MARK, `${Object.keys(SHIPPED_TEMPLATES).join("\n")}\n`);
  }

  /** Every template by name. One whose file is at fault is listed with what is wrong with it. */
  async list(): Promise<TemplateSummary[]> {
    const names = (await readdir(this.folder))
      .filter((file) => file.endsWith(EXTENSION))
      .map((file) => file.slice(0, -EXTENSION.length))
      .filter((name) => TemplateNameSchema.safeParse(name).success)
      .sort();
    const all = await Promise.all(names.map((name) => this.#summary(name)));
    return all.filter((summary) => summary !== undefined);
  }

  /** Throws `not_found`, or `unprocessable` where the file doesn't hold a valid template. */
  async get(name: string): Promise<Template> {
    const { yaml } = await this.source(name);
    return toNamed(name, yaml);
  }

  /** What a space gets that names no template: the one called "default", or, where that was deleted, the shipped one. */
  async fallback(): Promise<Template> {
    const found = await this.#read(DEFAULT_TEMPLATE + EXTENSION);
    const yaml = found ?? SHIPPED_TEMPLATES[DEFAULT_TEMPLATE] ?? "";
    // Every create comes by here, and the text is hardly ever another.
    if (this.#fallback?.yaml !== yaml) {
      this.#fallback = { yaml, template: toNamed(DEFAULT_TEMPLATE, yaml) };
    }
    return structuredClone(this.#fallback.template);
  }

  /** A template as its author wrote it, valid or not. Throws `not_found`. */
  async source(name: string): Promise<TemplateSource> {
    const valid = TemplateNameSchema.safeParse(name).success;
    const yaml = valid ? await this.#read(name + EXTENSION) : undefined;
    if (yaml === undefined) {
      throw new ClawdspaceError(
        "not_found",
        `There is no template "${name}" on this node. GET /api/templates lists them.`,
      );
    }
    return { name, yaml };
  }

  /** Makes or replaces the template that the text names. Throws `invalid_request` where it is at fault, `wrong_state` where that one is managed. */
  async put(yaml: string): Promise<Template> {
    const template = readWritten(yaml);
    const { name } = template;
    refuseManaged(name, "changed");
    if (template.managed) {
      throw new ClawdspaceError(
        "invalid_request",
        "managed: true is for templates that come with the system. Leave it out.",
        { issues: [{ path: "managed", message: "must be left out" }] },
      );
    }
    const text = yaml.endsWith("\n") ? yaml : `${yaml}\n`;
    await this.#lock.run(name, () => this.#write(name + EXTENSION, text));
    return template;
  }

  /** Spaces made from it keep their own spec. Throws `not_found`, and `wrong_state` where it is managed. */
  async remove(name: string): Promise<void> {
    await this.#lock.run(name, async () => {
      await this.source(name);
      refuseManaged(name, "deleted");
      await rm(join(this.folder, name + EXTENSION), { force: true });
    });
  }

  async #summary(name: string): Promise<TemplateSummary | undefined> {
    const yaml = await this.#read(name + EXTENSION);
    if (yaml === undefined) return undefined;
    try {
      const { description = "", managed } = toNamed(name, yaml);
      return { name, description, ...(managed ? { managed } : {}) };
    } catch (error) {
      if (!(error instanceof ClawdspaceError)) throw error;
      return { name, description: "", error: error.message };
    }
  }

  async #read(file: string): Promise<string | undefined> {
    return await readFile(join(this.folder, file), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
  }

  /** Whole or not at all, also where the machine dies meanwhile. */
  async #write(file: string, text: string): Promise<void> {
    const temporary = join(this.folder, `.${file}.${randomUUID()}`);
    try {
      const handle = await open(temporary, "wx", 0o644);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, join(this.folder, file));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

/** Whether the system owns a template; a file that merely says so about itself is its author's. */
const isManaged = (name: string) =>
  Object.hasOwn(SHIPPED_TEMPLATES, name) &&
  parseTemplate(SHIPPED_TEMPLATES[name] ?? "").managed === true;

function refuseManaged(name: string, what: string): void {
  if (!isManaged(name)) return;
  throw new ClawdspaceError(
    "wrong_state",
    `The template "${name}" is managed: it comes with the system and can't be ${what}. Copy it under another name instead.`,
  );
}

function readWritten(yaml: string): Template {
  try {
    return parseTemplate(yaml);
  } catch (error) {
    if (!(error instanceof ClawdspaceError)) throw error;
    const { message, issues } = error;
    throw new ClawdspaceError("invalid_request", message, issues ? { issues } : {});
  }
}

function toNamed(name: string, yaml: string): Template {
  const template = parseTemplate(yaml);
  if (template.name === name) return template;
  const message = `must be "${name}", as its file is called`;
  throw new ClawdspaceError("unprocessable", `The template is not valid. name: ${message}`, {
    issues: [{ path: "name", message }],
  });
}
