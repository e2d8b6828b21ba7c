import type { ReactNode } from "react";

interface Props<T extends string> {
  label: string;
  value: T;
  options: { value: T; text: ReactNode; label?: string }[];
  onChange: (value: T) => void;
  /** A key that goes to the other one, where there are two. */
  shortcut?: string;
}

/** A few choices of which one is on. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
  shortcut,
}: Props<T>) {
  return (
    <fieldset className="segments" aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          aria-label={option.label}
          title={option.label}
          data-shortcut={option.value === value ? undefined : shortcut}
          onClick={() => onChange(option.value)}
        >
          {option.text}
        </button>
      ))}
    </fieldset>
  );
}
