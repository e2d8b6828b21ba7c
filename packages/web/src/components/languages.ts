import { type LanguageSupport, StreamLanguage } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

const SHELL = /(^|\/)(\.(bash|zsh|profile)[\w]*|[\w.-]+\.(sh|bash|zsh))$/;

/** How a file of this name is coloured; each language comes when it is first asked for. */
export async function languageOf(name: string): Promise<Extension | LanguageSupport | undefined> {
  const extension = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  if (/^[cm]?[jt]sx?$/.test(extension)) {
    const { javascript } = await import("@codemirror/lang-javascript");
    return javascript({ typescript: extension.includes("t"), jsx: extension.endsWith("x") });
  }
  if (extension === "py") return (await import("@codemirror/lang-python")).python();
  if (extension === "json") return (await import("@codemirror/lang-json")).json();
  if (/^ya?ml$/.test(extension)) return (await import("@codemirror/lang-yaml")).yaml();
  if (/^(md|markdown)$/.test(extension))
    return (await import("@codemirror/lang-markdown")).markdown();
  if (/^(html?|svg|xml)$/.test(extension)) return (await import("@codemirror/lang-html")).html();
  if (extension === "css") return (await import("@codemirror/lang-css")).css();
  if (SHELL.test(name)) {
    const { shell } = await import("@codemirror/legacy-modes/mode/shell");
    return StreamLanguage.define(shell);
  }
  if (/(^|\/)Dockerfile/.test(name)) {
    const { dockerFile } = await import("@codemirror/legacy-modes/mode/dockerfile");
    return StreamLanguage.define(dockerFile);
  }
  return undefined;
}
