import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { LabelsSchema, NodeNameSchema, parseSize, sizeSchema } from "@clawdspace/protocol";
import { z } from "zod";
import { parseRetention, type Retention } from "./audit/retention.js";
import { ENGINE_TIMEOUT_MS } from "./engine/deadlines.js";

/** Where the packages lie side by side. A daemon that is packed otherwise is told by CLAWDSPACE_WEB_DIR. */
const WEB_DIR = fileURLToPath(new URL("../../web/dist", import.meta.url));

const flag = z
  .enum(["true", "false", "1", "0", ""])
  .transform((text) => text === "true" || text === "1")
  .default(false);
const size = (initial: string) =>
  sizeSchema(64 * 1024)
    .default(initial)
    .transform((text) => parseSize(text) ?? 0);
const milliseconds = (initial: number) => z.coerce.number().int().min(0).default(initial);

const pairsOf = (text: string): [string, string][] =>
  text
    .split(",")
    .filter(Boolean)
    .map((pair) => {
      const [name = "", ...value] = pair.split("=");
      return [name.trim(), value.join("=").trim()];
    });

/** undefined where the text names no nodes in the way that it should. */
function parseNodes(text: string): { name: string; url: string }[] | undefined {
  const pairs = pairsOf(text);
  const valid = pairs.every(
    ([name, url]) =>
      NodeNameSchema.safeParse(name).success &&
      URL.canParse(url) &&
      /^https?:\/\/[^/?#@]+\/?$/.test(url),
  );
  if (!valid || new Set(pairs.map(([name]) => name)).size < pairs.length) return undefined;
  return pairs.map(([name, url]) => ({ name, url: new URL(url).origin }));
}

const EnvironmentSchema = z.object({
  PORT: z.coerce.number().int().min(0).max(65535).default(7777),
  HOST: z.string().min(1).optional(),
  API_KEY: z.string().min(1).optional(),
  CLAWDSPACE_AUTH_DISABLED: flag,
  CLAWDSPACE_INSECURE_BIND: flag,
  IDLE_TIMEOUT_MS: milliseconds(600_000),
  CLAWDSPACE_STOP_AFTER_MS: milliseconds(24 * 3600 * 1000),
  CLAWDSPACE_IMAGE: z.string().min(1).default("clawdspace:latest"),
  CLAWDSPACE_GPU_IMAGE: z.string().min(1).default("clawdspace-gpu:latest"),
  CLAWDSPACE_DATA_DIR: z.string().min(1).default("data"),
  CLAWDSPACE_TEMPLATES_DIR: z.string().min(1).optional(),
  CLAWDSPACE_CONFIG_DIR: z.string().min(1).optional(),
  CLAWDSPACE_AUDIT_PATH: z.string().min(1).optional(),
  CLAWDSPACE_AUDIT_KEEP: z
    .string()
    .default("all")
    .transform((text, context) => {
      const retention = parseRetention(text);
      if (retention) return retention;
      context.addIssue('must be "all", an age such as "90d" or a size such as "5g"');
      return z.NEVER;
    }),
  CLAWDSPACE_AUDIT_ROTATE: size("16m"),
  HISTORY_INGEST_MS: milliseconds(15_000),
  CLAWDSPACE_METRICS_MS: milliseconds(15_000),
  NODES_REFRESH_MS: milliseconds(30_000),
  CLAWDSPACE_NODES: z
    .string()
    .default("")
    .transform((text, context) => {
      const nodes = parseNodes(text);
      if (nodes) return nodes;
      context.addIssue('must be "name=http://host:7777" pairs with commas between, each name once');
      return z.NEVER;
    }),
  CLAWDSPACE_NODE_NAME: NodeNameSchema.optional(),
  CLAWDSPACE_NODE_TAG: z
    .string()
    .regex(/^tag:[a-zA-Z0-9-]+$/, 'must be a tag such as "tag:clawdspace"')
    .optional(),
  CLAWDSPACE_NODE_ALLOW: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter(Boolean)),
  CLAWDSPACE_NODE_PORT: z.coerce.number().int().min(1).max(65535).default(7777),
  CLAWDSPACE_NODE_PROXY: z.url({ protocol: /^http$/ }).optional(),
  CLAWDSPACE_NODE_LABELS: z
    .string()
    .default("")
    .transform((text) => Object.fromEntries(pairsOf(text)))
    .pipe(LabelsSchema),
  CLAWDSPACE_WEBHOOKS: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter(Boolean))
    .pipe(z.array(z.url({ protocol: /^https?$/ }))),
  CLAWDSPACE_WEBHOOK_SECRET: z.string().min(16).optional(),
  CLAWDSPACE_NAMESPACE: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,30}$/, "must be lower-case letters, digits and '-'")
    .default("clawdspace"),
  CLAWDSPACE_SUBNET: z.cidrv4("must be an IPv4 network such as 10.213.0.0/20").optional(),
  CLAWDSPACE_PREVIEW_DOMAIN: z
    .string()
    .toLowerCase()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a domain name, such as preview.example.com")
    .optional(),
  CLAWDSPACE_POOL: z.coerce.number().int().min(0).max(256).default(2),
  CLAWDSPACE_WEB_DIR: z.string().min(1).optional(),
  CLAWDSPACE_GUEST: z.enum(["on", "off"]).default("on"),
  DOCKER_HOST: z.string().min(1).default("unix:///var/run/docker.sock"),
  CLAWDSPACE_ENGINE_TIMEOUT_MS: z.coerce.number().int().min(100).default(ENGINE_TIMEOUT_MS),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  XDG_CONFIG_HOME: z.string().optional(),
});

export interface Config {
  port: number;
  /** Addresses to serve at, with commas between; where unset, loopback and Tailscale. */
  host: string | undefined;
  /** Where unset, the key kept in the config folder is used. */
  apiKey: string | undefined;
  authDisabled: boolean;
  /** Lets a daemon without authentication serve at other addresses than the loopback. */
  insecureBind: boolean;
  idleTimeoutMs: number;
  stopAfterMs: number;
  image: string;
  gpuImage: string;
  dataDir: string;
  templatesDir: string;
  configDir: string;
  auditPath: string;
  auditKeep: Retention;
  /** The size in bytes at which the audit log goes on in a new file. */
  auditRotateBytes: number;
  /** How often the shells' history is read; 0 is never. */
  historyIngestMs: number;
  /** How often what spaces use is noted; 0 is never. */
  metricsIntervalMs: number;
  webhooks: { urls: string[]; secret: string };
  /** How the other nodes of the fleet are found, and what this one is called among them. */
  fleet: {
    /** 0 looks for them once. */
    refreshMs: number;
    nodes: { name: string; url: string }[];
    name: string | undefined;
    tag: string | undefined;
    allowed: string[];
    port: number;
    /** An HTTP proxy by way of which they are reached. */
    proxy: string | undefined;
    labels: Record<string, string>;
  };
  /** Prefix of everything that this daemon makes in the engine. */
  namespace: string;
  /** The network of the spaces as CIDR; the engine chooses where unset. */
  subnet: string | undefined;
  /** Below it, each port of each space has a host name of its own. */
  previewDomain: string | undefined;
  /** How many containers may wait to become spaces; 0 for none. */
  pool: number;
  /** The dashboard's built files. */
  webDir: string;
  /** Whether spaces get the guest agent; off, commands run as execs of the engine. */
  guest: boolean;
  dockerHost: string;
  /** What an ordinary call of the engine may take. */
  engineTimeoutMs: number;
  logLevel: string;
}

/** Reads the environment. Throws an `Error` that names each variable at fault and what it should hold. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = EnvironmentSchema.safeParse(set);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = path.join(".");
      // Secrets are text of any kind, and so never at fault for what they hold.
      return `${name}: ${message.replace("received NaN", `received "${environment[name]}"`)}`;
    });
    throw new Error(`The environment can't be used. ${faults.join("; ")}`);
  }
  const env = parsed.data;
  if (env.CLAWDSPACE_WEBHOOKS.length > 0 && env.CLAWDSPACE_WEBHOOK_SECRET === undefined) {
    throw new Error(
      "CLAWDSPACE_WEBHOOKS needs CLAWDSPACE_WEBHOOK_SECRET, by which the receivers know that events are from here.",
    );
  }
  const dataDir = resolve(env.CLAWDSPACE_DATA_DIR);
  return {
    port: env.PORT,
    host: env.HOST,
    apiKey: env.API_KEY,
    authDisabled: env.CLAWDSPACE_AUTH_DISABLED,
    insecureBind: env.CLAWDSPACE_INSECURE_BIND,
    idleTimeoutMs: env.IDLE_TIMEOUT_MS,
    stopAfterMs: env.CLAWDSPACE_STOP_AFTER_MS,
    image: env.CLAWDSPACE_IMAGE,
    gpuImage: env.CLAWDSPACE_GPU_IMAGE,
    dataDir,
    templatesDir: resolve(env.CLAWDSPACE_TEMPLATES_DIR ?? join(dataDir, "templates")),
    configDir: resolve(
      env.CLAWDSPACE_CONFIG_DIR ??
        join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "clawdspace"),
    ),
    auditPath: resolve(env.CLAWDSPACE_AUDIT_PATH ?? join(dataDir, "audit.jsonl")),
    auditKeep: env.CLAWDSPACE_AUDIT_KEEP,
    auditRotateBytes: env.CLAWDSPACE_AUDIT_ROTATE,
    historyIngestMs: env.HISTORY_INGEST_MS,
    metricsIntervalMs: env.CLAWDSPACE_METRICS_MS,
    fleet: {
      refreshMs: env.NODES_REFRESH_MS,
      nodes: env.CLAWDSPACE_NODES,
      name: env.CLAWDSPACE_NODE_NAME,
      tag: env.CLAWDSPACE_NODE_TAG,
      allowed: env.CLAWDSPACE_NODE_ALLOW,
      port: env.CLAWDSPACE_NODE_PORT,
      proxy: env.CLAWDSPACE_NODE_PROXY,
      labels: env.CLAWDSPACE_NODE_LABELS,
    },
    webhooks: { urls: env.CLAWDSPACE_WEBHOOKS, secret: env.CLAWDSPACE_WEBHOOK_SECRET ?? "" },
    namespace: env.CLAWDSPACE_NAMESPACE,
    subnet: env.CLAWDSPACE_SUBNET,
    previewDomain: env.CLAWDSPACE_PREVIEW_DOMAIN,
    pool: env.CLAWDSPACE_POOL,
    webDir: resolve(env.CLAWDSPACE_WEB_DIR ?? WEB_DIR),
    guest: env.CLAWDSPACE_GUEST === "on",
    dockerHost: env.DOCKER_HOST,
    engineTimeoutMs: env.CLAWDSPACE_ENGINE_TIMEOUT_MS,
    logLevel: env.LOG_LEVEL,
  };
}
