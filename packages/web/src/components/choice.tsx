interface Props<T extends string> {
  label: string;
  value: T;
  /** Values that are shown as they are, or with a text of their own. */
  options: (T | readonly [value: T, text: string])[];
  onChange: (value: T) => void;
}

/** One of a few, as wide as the widest of them. */
export function Choice<T extends string>({ label, value, options, onChange }: Props<T>) {
  return (
    <select
      className="input fit"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value as T)}
    >
      {options.map((option) => {
        const [name, text] = typeof option === "string" ? [option, option] : option;
        return (
          <option key={name} value={name}>
            {text}
          </option>
        );
      })}
    </select>
  );
}
