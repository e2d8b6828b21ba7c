/**
 * Passes for a style element: what is written into it becomes a constructed sheet for as long as it is connected.
 */
class ScriptStyles extends HTMLElement {
  readonly sheet = new CSSStyleSheet();
  #text = "";

  connectedCallback() {
    document.adoptedStyleSheets.push(this.sheet);
  }

  disconnectedCallback() {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== this.sheet);
  }

  override get textContent(): string {
    return this.#text;
  }

  override set textContent(css: string) {
    this.#text = css;
    this.sheet.replaceSync(css);
  }

  override get innerHTML(): string {
    return this.#text;
  }

  override set innerHTML(css: string) {
    this.textContent = css;
  }

  override appendChild<T extends Node>(node: T): T {
    this.textContent += node.textContent ?? "";
    return node;
  }
}

/**
 * The page's policy refuses style elements with content, as an injected script would make them. The terminal, the editor and
 * the dialogs make such elements: here their rules go into constructed sheets, which the policy leaves to scripts of ours.
 */
export function adoptScriptStyles(): void {
  customElements.define("script-styles", ScriptStyles);
  const create = document.createElement.bind(document);
  document.createElement = ((tag: string, options?: ElementCreationOptions) =>
    tag.toLowerCase() === "style" ? new ScriptStyles() : create(tag, options)) as never;
}
