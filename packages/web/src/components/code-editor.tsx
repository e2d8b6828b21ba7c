import { autocompletion, type CompletionSource } from "@codemirror/autocomplete";
import { indentWithTab } from "@codemirror/commands";
import { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { Annotation, Compartment, EditorState, type Extension } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup, EditorView } from "codemirror";
import { useEffect, useRef } from "react";
import { languageOf } from "./languages.js";

interface Props {
  /** Its name tells the language. */
  name: string;
  value: string;
  readOnly?: boolean;
  /** What is wrong in which line, counted from 1. */
  faults?: { line: number; message: string }[];
  completion?: CompletionSource;
  onChange: (value: string) => void;
  onSave?: () => void;
}

/** Marks a text that was put in from outside, and is no edit. */
const Given = Annotation.define<boolean>();

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: [tags.comment], color: "var(--ink-3)", fontStyle: "italic" },
  { tag: [tags.propertyName, tags.attributeName, tags.tagName], color: "var(--code-name)" },
  { tag: [tags.typeName, tags.className, tags.namespace], color: "var(--code-type)" },
  { tag: [tags.heading], fontWeight: "600" },
  { tag: [tags.link, tags.url], color: "var(--code-name)", textDecoration: "underline" },
  { tag: [tags.invalid], color: "var(--danger)" },
]);

const THEME = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", backgroundColor: "var(--surface)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--claw)", padding: "12px 0" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--ink-3)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  "&.cm-focused": { outline: "none" },
  ".cm-cursor": { borderLeftColor: "var(--claw)" },
  ".cm-panels": { backgroundColor: "var(--paper)", color: "var(--ink)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)" },
});

/** Where lines wrap: there is no room to scroll sideways. */
const NARROW = "(max-width: 720px)";

/** A text editor, coloured by the language that the name tells. */
export default function CodeEditor(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const { name, value, faults } = props;

  useEffect(() => {
    if (!place.current) return;
    const language = new Compartment();
    const saveNow = () => {
      latest.current.onSave?.();
      return true;
    };
    const save = {
      key: "Mod-s",
      preventDefault: true,
      run: saveNow,
    };
    const extensions: Extension[] = [
      basicSetup,
      keymap.of([save, indentWithTab]),
      indentUnit.of("  "),
      syntaxHighlighting(COLOURS),
      THEME,
      language.of([]),
      EditorState.readOnly.of(latest.current.readOnly ?? false),
      // To be scrolled by keys too, also where nothing may be typed.
      EditorView.contentAttributes.of({ "aria-label": name, tabindex: "0" }),
      ...(matchMedia(NARROW).matches ? [EditorView.lineWrapping] : []),
      EditorView.updateListener.of((update) => {
        const typed = !update.transactions.some((each) => each.annotation(Given));
        if (update.docChanged && typed) latest.current.onChange(update.state.doc.toString());
      }),
    ];
    if (latest.current.completion) {
      extensions.push(autocompletion({ override: [latest.current.completion] }));
    }
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({ doc: latest.current.value, extensions }),
    });
    view.current = made;
    void languageOf(name).then((found) => {
      if (found && view.current === made) made.dispatch({ effects: language.reconfigure(found) });
    });
    return () => {
      view.current = undefined;
      made.destroy();
    };
  }, [name]);

  // A text from elsewhere, such as a file read anew, takes the place of what is shown.
  useEffect(() => {
    const state = view.current?.state;
    if (!state || state.doc.toString() === value) return;
    view.current?.dispatch({
      changes: { from: 0, to: state.doc.length, insert: value },
      annotations: Given.of(true),
    });
  }, [value]);

  useEffect(() => {
    const current = view.current;
    if (!current) return;
    const { doc } = current.state;
    const diagnostics = (faults ?? []).map(({ line, message }): Diagnostic => {
      const { from, to } = doc.line(Math.min(Math.max(1, line), doc.lines));
      return { from, to, severity: "error", message };
    });
    current.dispatch(setDiagnostics(current.state, diagnostics));
  }, [faults]);

  return <div className="code-editor" ref={place} />;
}
