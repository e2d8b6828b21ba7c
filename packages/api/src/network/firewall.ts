import type { Engine } from "../engine/engine.js";
import type { Names } from "../spaces/names.js";
import {
  type Admission,
  chainsFor,
  hooks,
  hooksV6,
  isPlaced,
  type RuleContext,
  renderAll,
  renderAllV6,
  renderChange,
  renderNothing,
  type SpaceNetwork,
} from "./ruleset.js";
import type { SavedTable } from "./saved-table.js";
import {
  applyScript,
  type Findings,
  meetingRules,
  meetScript,
  parseFindings,
  readScript,
  separateScript,
  unseparateScript,
} from "./scripts.js";
import { HelperShell, isLocal, LocalShell, type Shell } from "./shell.js";

/** The rules of one daemon's spaces in the engine's network namespace. */
export class Firewall {
  #tool: string | undefined;

  constructor(
    private readonly shell: Shell,
    private readonly network: SpaceNetwork,
  ) {}

  /** Where the rules are set from, for people to read. */
  get place(): string {
    return this.shell.place;
  }

  /** Whether looking costs no more than a few processes. */
  get cheap(): boolean {
    return this.shell instanceof LocalShell;
  }

  /** What is there now. Throws an `Error` that says why it can't be known. */
  async look(): Promise<Findings> {
    const found = parseFindings(await this.shell.run(readScript(this.network)));
    this.#tool = found.tool;
    return found;
  }

  /** Puts everything of ours in place, whatever was there. Throws an `Error` where a rule that is needed can't be set. */
  async build(
    context: RuleContext,
    admissions: readonly Admission[],
    found: Findings,
  ): Promise<void> {
    const { network } = this;
    const rules = {
      v4: renderAll(context, admissions, found.v4),
      ...(found.v6 ? { v6: renderAllV6(network, found.v6) } : {}),
    };
    const all = { admit: admissions, dismiss: [] };
    await this.shell.run(
      applyScript(found.tool, rules) + separateScript(network) + meetScript(network, all, true),
    );
    const { bridged, bridgeNetfilter } = await this.look();
    if (bridged || bridgeNetfilter) return;
    throw new Error(
      "spaces can't be kept apart on their bridge: ebtables does not work here, and net.bridge.bridge-nf-call-iptables is not 1",
    );
  }

  /** Lets spaces in and out; what they may reach holds when this resolves. */
  async change(
    context: RuleContext,
    change: { admit: readonly Admission[]; dismiss: readonly Admission[] },
  ): Promise<void> {
    this.#tool ??= (await this.look()).tool;
    const rules = applyScript(this.#tool, { v4: renderChange(context, change) });
    await this.shell.run(rules + meetScript(this.network, change));
  }

  /** Takes everything of ours out. */
  async clear(): Promise<void> {
    const { tool, v4, v6 } = await this.look();
    const rules = {
      v4: renderNothing(this.network, v4),
      ...(v6 ? { v6: renderNothing(this.network, v6) } : {}),
    };
    await this.shell.run(applyScript(tool, rules) + unseparateScript(this.network));
  }
}

/** A firewall that is worked by the daemon itself where it can, else by helper containers of the image. */
export async function openFirewall(
  engine: Engine,
  names: Names,
  network: SpaceNetwork,
  helperImage: string,
): Promise<Firewall> {
  const local = await isLocal(network.bridge);
  const shell = local ? new LocalShell() : new HelperShell(engine, helperImage, names);
  return new Firewall(shell, network);
}

/** What is not as it should be, in words; nothing where all holds. */
export function faults(
  found: Findings,
  context: RuleContext,
  admissions: readonly Admission[],
): string[] {
  const { network } = context;
  const lost: string[] = [];
  for (const hook of hooks(network, found.v4)) {
    if (!isPlaced(hook, found.v4)) lost.push(`the entry in ${hook.chain}: ${hook.rule}`);
  }
  for (const [chain, rules] of chainsFor(context, admissions)) {
    // The text of rules is printed differently by different versions; their number is not.
    if (found.v4.rules(chain).length !== rules.length) lost.push(`rules of the chain ${chain}`);
  }
  const meetings = admissions.filter(({ gateway }) => gateway !== undefined).flatMap(meetingRules);
  if (found.bridged && found.meetings !== meetings.length) {
    lost.push("what lets spaces and their gateways meet");
  }
  lost.push(...faultsV6(found.v6, network));
  if (!found.bridged && !found.bridgeNetfilter) lost.push("what keeps spaces apart on the bridge");
  return lost;
}

function faultsV6(table: SavedTable | undefined, network: SpaceNetwork): string[] {
  if (!table) return [];
  return hooksV6(network)
    .filter((hook) => !isPlaced(hook, table))
    .map((hook) => `the IPv6 entry in ${hook.chain}: ${hook.rule}`);
}
