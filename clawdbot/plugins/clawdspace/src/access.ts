import type { PluginConfig } from "./config.js";
import { ToolInputError } from "./input-error.js";

type Lists = Pick<PluginConfig, "allowSpaces" | "denySpaces">;

/** Deny wins; without an allow list every other space is allowed. */
export function isAllowed(name: string, { allowSpaces, denySpaces }: Lists): boolean {
  if (denySpaces.includes(name)) return false;
  return allowSpaces.length === 0 || allowSpaces.includes(name);
}

/** Throws where the plugin's lists keep this space from the agent. */
export function requireAllowed(name: string, lists: Lists): void {
  if (isAllowed(name, lists)) return;
  const allowed = lists.allowSpaces.filter((each) => isAllowed(each, lists));
  const next = allowed.length > 0 ? `Use one of: ${allowed.join(", ")}.` : "Use another space.";
  throw new ToolInputError(
    `The plugin's configuration does not allow the space "${name}". ${next}`,
  );
}

/** Templates shape the spaces of everyone, so an agent that is kept to some spaces can't change them. */
export function requireUnconfined(lists: Lists): void {
  if (lists.allowSpaces.length === 0 && lists.denySpaces.length === 0) return;
  throw new ToolInputError(
    "The plugin's configuration limits the spaces, so templates can't be changed. Ask a person to change them.",
  );
}
