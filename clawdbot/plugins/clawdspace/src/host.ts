import type { CliCommand } from "./cli.js";

export type Respond = (
  ok: boolean,
  payload?: unknown,
  error?: { code: string; message: string },
) => void;

/** What both hosts offer a plugin, as far as this one uses it; what is optional is OpenClaw's alone. */
export interface Host {
  pluginConfig?: unknown;
  /** Why the plugin is loaded: "full" where it is to work, others where a host only looks at it. */
  registrationMode?: string;
  registerTool(tool: object): void;
  registerGatewayMethod(
    name: string,
    answer: (call: { params: unknown; respond: Respond }) => Promise<void>,
  ): void;
  /** Its subcommands are unreachable on Clawdbot. */
  registerCli(
    add: (cli: { program: CliCommand }) => void,
    told: {
      commands: string[];
      descriptors: { name: string; description: string; hasSubcommands: boolean }[];
    },
  ): void;
  lifecycle?: {
    registerRuntimeLifecycle(lifecycle: { id: string; cleanup(): void }): void;
  };
}
