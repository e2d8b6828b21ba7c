import { Option } from "commander";
import type { OptionSpec } from "./spec.js";

const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];

/** An option of the table as the parser's. */
export function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.about);
  if (spec.choices) option.choices(spec.choices);
  if (spec.repeats) option.argParser(collect);
  if (spec.hidden) option.hideHelp();
  return option;
}
