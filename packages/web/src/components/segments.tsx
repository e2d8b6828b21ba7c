import type { ReactNode } from "react";

interface Props<T extends string> {
  label: string;
  value: T;
  options: { value: T; text: ReactNode; label?: string }[];
  onChange: (value: T) => void;
}

/** A few choices of which one is on. */
export function Segments<T extends string>({ label, value, options, onChange }: Props<T>) {
  return (
    <fieldset className="segments" aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          aria-label={option.label}
          title={option.label}
          onClick={() => onChange(option.value)}
        >
          {option.text}
        </button>
      ))}
    </fieldset>
  );
}
