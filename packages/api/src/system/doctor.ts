import type { Doctor, Finding, Gpu, NodeList, System } from "@clawdspace/protocol";
import type { EngineInfo, ImageSummary } from "../engine/engine.js";

/** Node.js that the daemon is tested with: this major version from this minor one on, and later ones. */
const NODE = { major: 20, minor: 19 };
/** So much of a disk in use, in percent, is little left. */
const LITTLE_DISK = 90;
/** Rules are looked at every 15 s, every 45 s where that takes a container: older than this, nobody looked lately. */
const UNSEEN_MS = 120_000;

/** What the doctor looks at. Each may throw: that is a finding too. */
export interface Patient {
  nodeVersion: string;
  authDisabled: boolean;
  engine(): Promise<EngineInfo>;
  /** The image that spaces are made from unless another is asked for. */
  image: string;
  findImage(): Promise<ImageSummary | undefined>;
  network: {
    /** Whether any space runs that has a network. */
    inUse: boolean;
    enforcement(): Promise<{ by: string; checkedAt: Date } | undefined>;
    /** Why the rules could not be looked at last; undefined where they could. */
    problem: string | undefined;
  };
  nodes: NodeList;
  /** Whether the nodes are named by the configuration, and nothing is looked for. */
  nodesNamed: boolean;
  gpus(): Promise<Gpu[]>;
  /** Makers of this machine's cards for computing, whether their drivers work or not. */
  cards(): Promise<string[]>;
  disk(): Promise<System["disk"]>;
}

type Verdict = Omit<Finding, "name">;
type Check = (patient: Patient) => Promise<Verdict> | Verdict;

const ok = (detail: string): Verdict => ({ status: "ok", detail });
const warning = (detail: string, fix: string): Verdict => ({ status: "warning", detail, fix });
const failed = (detail: string, fix: string): Verdict => ({ status: "failed", detail, fix });

const CHECKS: Record<string, Check> = {
  "Node.js": ({ nodeVersion }) => {
    const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
    const fits = major > NODE.major || (major === NODE.major && minor >= NODE.minor);
    if (fits) return ok(nodeVersion);
    return failed(
      `${nodeVersion} is too old`,
      `Install ${NODE.major}.${NODE.minor} or later: https://nodejs.org/en/download`,
    );
  },

  Authentication: ({ authDisabled }) =>
    authDisabled
      ? warning("off: whoever reaches this address owns this machine", UNSET_AUTH)
      : ok("every request needs a key"),

  "Docker Engine": async ({ engine }) => {
    const { version, missingLimits, seccomp } = await engine();
    const lacks = [
      ...missingLimits.map((limit) => `limits of ${limit}`),
      ...(seccomp ? [] : ["seccomp"]),
    ];
    if (lacks.length === 0) return ok(version);
    return warning(
      `${version}, without ${lacks.join(", ")}`,
      "docs/SECURITY.md tells what spaces need of the kernel.",
    );
  },

  "Sandbox image": async ({ image, findImage }) =>
    (await findImage())
      ? ok(image)
      : failed(`${image} is not there`, "`clawdspace up` or `npm start` builds it."),

  Firewall: async ({ network }) => {
    const { inUse, problem } = network;
    if (problem !== undefined) {
      return failed(`the rules could not be looked at: ${problem}`, RULES);
    }
    const held = await network.enforcement();
    if (!held) {
      return inUse
        ? warning("spaces run with a network, and no rules were seen yet", RULES)
        : ok("not needed yet: no space has a network");
    }
    const agoMs = Date.now() - held.checkedAt.getTime();
    const ago = `${Math.round(agoMs / 1000)} s`;
    if (agoMs < UNSEEN_MS) return ok(`rules by ${held.by}, seen in force ${ago} ago`);
    return warning(`rules by ${held.by}, not seen in force for ${ago}`, RULES);
  },

  Tailscale: ({ nodes: { problem, nodes }, nodesNamed }) => {
    if (nodesNamed) return ok("not asked: CLAWDSPACE_NODES names the nodes");
    if (problem !== undefined) return warning(problem, "`sudo tailscale up` connects it.");
    return nodes.length > 1
      ? ok(`${nodes.length - 1} more in the tailnet`)
      : ok("not installed, or alone in its tailnet; CLAWDSPACE_NODES can name other machines");
  },

  Nodes: ({ nodes: { nodes } }) => {
    const others = nodes.filter(({ self }) => !self);
    const at = (wanted: string) =>
      others.flatMap(({ state, name }) => (state === wanted ? [name] : []));
    const faults = [
      { names: at("wrong_key"), what: "another key", fix: "Give all nodes the same API_KEY." },
      {
        names: at("other_version"),
        what: "a version that doesn't fit",
        fix: "Update the older nodes.",
      },
    ].filter(({ names }) => names.length > 0);
    if (faults.length > 0) {
      return warning(
        faults.map(({ names, what }) => `${names.join(", ")}: ${what}`).join("; "),
        faults.map(({ fix }) => fix).join(" "),
      );
    }
    const online = at("online").length;
    return ok(others.length === 0 ? "this one alone" : `${online} of ${others.length} more online`);
  },

  GPU: async ({ gpus, cards }) => {
    const found = await gpus();
    if (found.length > 0) return ok(found.map(({ name }) => name).join(", "));
    const makers = await cards();
    if (makers.length === 0) return ok("none");
    return warning(
      `a card of ${makers.join(" and ")} is here, and its driver doesn't answer`,
      "Install the driver and, for NVIDIA's, the NVIDIA Container Toolkit; or leave it be.",
    );
  },

  Disk: async ({ disk }) => {
    const found = await disk();
    if (!found) return ok("not known");
    const text = `${found.available} of ${found.total} free`;
    if (Number.parseFloat(found.percentage) < LITTLE_DISK) return ok(text);
    return warning(text, "Remove spaces, or images with `docker image prune`.");
  },
};

const UNSET_AUTH = "Unset CLAWDSPACE_AUTH_DISABLED, and start the daemon again.";
const RULES = "docs/SECURITY.md tells what the rules need; the daemon's log tells more.";

/** Looks for what is wrong with this node, all at once. Never throws: what can't be looked at has failed. */
export async function examine(patient: Patient): Promise<Doctor> {
  const checks = await Promise.all(
    Object.entries(CHECKS).map(async ([name, check]): Promise<Finding> => {
      try {
        return { name, ...(await check(patient)) };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        return {
          name,
          ...failed(why, "`systemctl status docker` and `docker info` tell how the engine is."),
        };
      }
    }),
  );
  return { checks, checkedAt: new Date().toISOString() };
}
