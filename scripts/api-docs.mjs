// Writes docs/API.md from the schemas that the daemon validates with; `--check` only says whether it is current.
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { pino } from "pino";
import { buildApp } from "../packages/api/dist/app.js";
import { readConfig } from "../packages/api/dist/config.js";
import { DockerEngine } from "../packages/api/dist/engine/docker-engine.js";
import { createServices } from "../packages/api/dist/services.js";

const FILE = new URL("../docs/API.md", import.meta.url);

const INTRODUCTION = `# The HTTP API

Generated from the daemon's own schemas by \`npm run docs\`. The same as OpenAPI 3.1: \`/api/openapi.json\`; browsable: \`/api/docs\`.

- Every path is below \`/api\` on port 7777. Bodies are JSON unless a route says otherwise.
- Send the key as \`Authorization: Bearer KEY\` or \`?key=KEY\`; \`GET /api/health\` and these docs need none.
- An unknown field in a JSON body is refused with 400, so that a typing error never passes silently; an unknown query parameter is ignored.
- Every error is \`{"error": "a sentence to act on", "code": "stable_code", "issues"?: [{"path", "message"}]}\`.
- \`Accept: application/x-ndjson\` on a create or an exec answers with one JSON value a line while it happens.
`;

/** A schema in a few words: its type, or the fields of an object. */
function describe(schema, components, depth = 0) {
  if (!schema) return "";
  if (schema.$ref) return describe(components[schema.$ref.split("/").at(-1)], components, depth);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" \\| ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) return variants.map((each) => describe(each, components, depth)).join(" \\| ");
  if (schema.type === "array") return `${describe(schema.items, components, depth)}[]`;
  if (schema.type === "object" && schema.properties && depth < 3) {
    const required = new Set(schema.required ?? []);
    const fields = Object.entries(schema.properties).map(
      ([name, field]) =>
        `${name}${required.has(name) ? "" : "?"}: ${describe(field, components, depth + 1)}`,
    );
    return `{${fields.join(", ")}}`;
  }
  return Array.isArray(schema.type) ? schema.type.join(" \\| ") : (schema.type ?? "any");
}

function section(path, method, operation, components) {
  const lines = [`### \`${method.toUpperCase()} ${path.replace(/\/$/, "")}\``, ""];
  if (operation.summary) lines.push(operation.summary, "");
  if (operation.description) lines.push(operation.description, "");
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
  for (const { name, required, schema, description } of query) {
    const about = description ?? schema?.description;
    lines.push(
      `- \`?${name}\`${required ? "" : " (optional)"}: ${describe(schema, components)}${about ? `. ${about}` : ""}`,
    );
  }
  if (query.length > 0) lines.push("");
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) lines.push("Body:", "", ...fields(body, components), "");
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    const schema = answer.content?.["application/json"]?.schema;
    if (schema)
      lines.push(
        `Answer ${status}: \`${describe(schema, components).replaceAll("\\|", "|")}\``,
        "",
      );
  }
  return lines.join("\n");
}

function fields(schema, components) {
  const object = schema.$ref ? components[schema.$ref.split("/").at(-1)] : schema;
  const required = new Set(object.required ?? []);
  return Object.entries(object.properties ?? {}).map(([name, field]) => {
    const about = field.description ? `. ${field.description}` : "";
    return `- \`${name}\`${required.has(name) ? "" : " (optional)"}: ${describe(field, components)}${about}`;
  });
}

const config = readConfig({ CLAWDSPACE_DATA_DIR: tmpdir(), CLAWDSPACE_CONFIG_DIR: tmpdir() });
const logger = pino({ level: "silent" });
const services = createServices(config, new DockerEngine(config.dockerHost), logger, "");
const app = await buildApp(services, { authDisabled: true, logger });
await app.ready();
const { paths, components } = app.swagger();
const parts = [INTRODUCTION];
for (const path of Object.keys(paths).sort()) {
  for (const [method, operation] of Object.entries(paths[path])) {
    parts.push(section(path, method, operation, components?.schemas ?? {}));
  }
}
const text = `${parts
  .join("\n")
  .replace(/\n{3,}/g, "\n\n")
  .trim()}\n`;
await app.close();
if (process.argv.includes("--check")) {
  if ((await readFile(FILE, "utf8").catch(() => "")) !== text) {
    console.error("docs/API.md is not current: run `npm run docs` and commit it.");
    process.exit(1);
  }
} else {
  await writeFile(FILE, text);
}
process.exit(0);
