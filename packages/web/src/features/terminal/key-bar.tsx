import { ArrowDown, ArrowLeft, ArrowRight, ArrowUp } from "lucide-react";
import { type ReactNode, useState } from "react";

const KEYS: { label: string; text: ReactNode; data: string }[] = [
  { label: "Escape", text: "Esc", data: "\x1b" },
  { label: "Tab", text: "Tab", data: "\t" },
  { label: "Up", text: <ArrowUp />, data: "\x1b[A" },
  { label: "Down", text: <ArrowDown />, data: "\x1b[B" },
  { label: "Left", text: <ArrowLeft />, data: "\x1b[D" },
  { label: "Right", text: <ArrowRight />, data: "\x1b[C" },
  { label: "Slash", text: "/", data: "/" },
  { label: "Pipe", text: "|", data: "|" },
  { label: "Dash", text: "-", data: "-" },
];
const CONTROLS = ["C", "D", "Z", "L", "R", "A", "E"];

interface Props {
  onKey: (data: string) => void;
}

/** The keys that phones lack. Ctrl shows what can go with it. */
export function KeyBar({ onKey }: Props) {
  const [control, setControl] = useState(false);
  const controls = CONTROLS.map((letter) => ({
    label: `Control ${letter}`,
    text: `^${letter}`,
    data: String.fromCharCode(letter.charCodeAt(0) - 64),
  }));
  return (
    <div
      className="key-bar"
      role="toolbar"
      aria-label="Terminal keys"
      // Keeps the focus, and with it the phone's keyboard, in the terminal.
      onMouseDown={(event) => event.preventDefault()}
    >
      <button type="button" aria-pressed={control} onClick={() => setControl(!control)}>
        Ctrl
      </button>
      {(control ? controls : KEYS).map(({ label, text, data }) => (
        <button
          key={label}
          type="button"
          aria-label={label}
          onClick={() => {
            onKey(data);
            setControl(false);
          }}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
