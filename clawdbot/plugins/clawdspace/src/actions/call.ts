import type { Clawdspace, SpaceHandle } from "@clawdspace/client";
import type { PluginConfig } from "../config.js";
import type { Parameters } from "../parameters.js";

type Content = { type: "text"; text: string } | { type: "image"; data: string; mimeType: string };

/** What a model reads, and the same as data. */
export interface Outcome {
  content: Content[];
  data: unknown;
}

/** One use of the tool. */
export interface Call {
  given: Parameters;
  client: Clawdspace;
  /** Where a space is to be made, unless the daemon itself makes it. */
  node: string | undefined;
  config: PluginConfig;
  /** Holds the abort signal of the agent's run, where there is one. */
  stopping: { signal?: AbortSignal };
  /** The space that is meant; checked against the lists. */
  space(): SpaceHandle;
}

export type Actions<K extends string> = Record<K, (call: Call) => Promise<Outcome>>;

export const said = (text: string, data: unknown = { message: text }): Outcome => ({
  content: [{ type: "text", text }],
  data,
});
export const told = (data: unknown): Outcome => said(JSON.stringify(data, null, 2), data);
