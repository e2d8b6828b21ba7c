import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";

interface Key {
  info: string;
  values?: string[];
  keys?: Record<string, Key>;
}

/** What a template may hold, as the editor offers it. The daemon alone says what is valid. */
export const TEMPLATE_KEYS: Record<string, Key> = {
  name: { info: "Letters, digits, - and _" },
  description: { info: "One line that says what it is for" },
  resources: {
    info: "Limits",
    keys: {
      memory: { info: "Such as 2g or 512m", values: ["512m", "1g", "2g", "4g", "8g"] },
      cpus: { info: "Such as 1 or 0.5", values: ["0.5", "1", "2", "4"] },
      gpu: { info: "All GPUs of the node", values: ["true", "false"] },
      image: { info: "The node's own where left out" },
      pids: { info: "Processes and threads", values: ["512", "4096"] },
      disk: { info: "Size of the workspace", values: ["5g", "20g"] },
      tmpfs: { info: "Size of /tmp; counts as memory", values: ["256m", "1g"] },
    },
  },
  security: {
    info: "Confinement",
    keys: {
      writableRootfs: {
        info: "false: the root file system can't be written",
        values: ["true", "false"],
      },
      allowRoot: { info: "Lets exec run as root", values: ["true", "false"] },
      runtime: { info: "A runtime that the engine lists", values: ["runc", "runsc"] },
      seccomp: { info: '"default", or a .json file in the config folder', values: ["default"] },
    },
  },
  network: {
    info: "What it reaches",
    keys: {
      mode: { info: "none, internet or lan", values: ["none", "internet", "lan"] },
      blockCidrs: { info: "Networks that are refused" },
      allowCidrs: { info: "Opens parts of what is blocked" },
      allowDomains: { info: "These names by HTTP and HTTPS, and nothing else" },
    },
  },
  workspace: {
    info: "Files",
    keys: { defaultRepoDest: { info: "Where a repository is cloned to" } },
  },
  sleep: {
    info: "When it sleeps",
    keys: {
      idleTimeout: { info: "Such as 90s or 10m; 0 is never", values: ["90s", "10m", "1h", "0"] },
      keepAwakeWhileBusy: { info: "Work keeps it awake", values: ["true", "false"] },
    },
  },
  env: { info: "Variables of every space" },
  setup: { info: "Commands run once in a new space" },
};

/** Offers keys, and values of keys, by where the cursor stands. */
export function completeTemplate(context: CompletionContext): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const parent = /^\s/.test(before) ? parentOf(context, line.number) : undefined;
  const keys = /^\s/.test(before) ? TEMPLATE_KEYS[parent ?? ""]?.keys : TEMPLATE_KEYS;
  if (!keys) return null;
  const value = /^\s*(\w+):\s+(\S*)$/.exec(before);
  if (value) {
    const [, name = "", typed = ""] = value;
    const options = (keys[name]?.values ?? []).map((label) => ({ label, type: "constant" }));
    return options.length > 0 ? { from: context.pos - typed.length, options } : null;
  }
  const word = /^\s*(\w*)$/.exec(before);
  if (!word || (word[1] === "" && !context.explicit)) return null;
  const options = Object.entries(keys).map(([label, { info, keys: inner }]) => ({
    label,
    detail: info,
    apply: inner ? `${label}:\n  ` : `${label}: `,
    type: "property",
  }));
  return { from: context.pos - (word[1]?.length ?? 0), options };
}

/** The key at the margin that a line belongs to. */
function parentOf({ state }: CompletionContext, number: number): string | undefined {
  for (let at = number - 1; at >= 1; at--) {
    const key = /^(\w+):/.exec(state.doc.line(at).text)?.[1];
    if (key) return key;
  }
  return undefined;
}
