import type { CreateSpaceRequest, Template } from "@clawdspace/client";

export interface CreateForm {
  name: string;
  template: string;
  description: string;
  memory: string;
  cpus: string;
  image: string;
  gpu: boolean;
  repoUrl: string;
  repoBranch: string;
  /** "": the node that serves this page; "auto": the one that suits best. */
  node: string;
  env: { name: string; value: string }[];
}

export const EMPTY_FORM: CreateForm = {
  name: "",
  template: "default",
  description: "",
  memory: "",
  cpus: "",
  image: "",
  gpu: false,
  repoUrl: "",
  repoBranch: "",
  node: "",
  env: [],
};

/** The request that a form stands for: what is left empty is the template's to say. */
export function toRequest(form: CreateForm): CreateSpaceRequest {
  const env = form.env.filter(({ name, value }) => name !== "" || value !== "");
  const text = (value: string) => value.trim() || undefined;
  const given = {
    template: text(form.template),
    description: text(form.description),
    memory: text(form.memory),
    cpus: form.cpus.trim() === "" ? undefined : Number(form.cpus),
    image: text(form.image),
    gpu: form.gpu || undefined,
    repoUrl: text(form.repoUrl),
    repoBranch: text(form.repoBranch),
    node: text(form.node),
    env:
      env.length > 0 ? Object.fromEntries(env.map(({ name, value }) => [name, value])) : undefined,
  };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return { name: form.name.trim(), ...Object.fromEntries(entries) };
}

/** Lines such as "NAME=value", as an .env file has them; none where the text is something else. */
export function parseEnv(text: string): CreateForm["env"] {
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (!match) return [];
    const [, name = "", raw = ""] = match;
    return [{ name, value: raw.trim().replace(/^(["'])(.*)\1$/, "$2") }];
  });
}

const MODES = {
  none: "No network at all",
  internet: "The internet, without private networks",
  lan: "The internet and the local network",
};

/** What a template's network comes to, in words. */
export function describeNetwork(template: Template | undefined): string {
  const { mode = "internet", allowDomains, allowCidrs } = template?.network ?? {};
  if (allowDomains) return `Only ${allowDomains.join(", ")}`;
  return `${MODES[mode]}${allowCidrs?.length ? `, and ${allowCidrs.join(", ")}` : ""}`;
}
