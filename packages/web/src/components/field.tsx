import { cloneElement, type ReactElement, type ReactNode, useId } from "react";

interface Props {
  label: string;
  hint?: ReactNode;
  /** What is wrong with it, as the daemon said. */
  fault?: string | undefined;
  children: ReactElement<Record<string, unknown>>;
}

/** A control with its label, a hint, and what is wrong with its value. */
export function Field({ label, hint, fault, children }: Props) {
  const id = useId();
  const note = fault || hint ? `${id}-note` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        "aria-invalid": fault ? true : undefined,
        "aria-describedby": note,
      })}
      {fault ? (
        <p className="fault" id={note}>
          {fault}
        </p>
      ) : (
        hint && (
          <p className="hint" id={note}>
            {hint}
          </p>
        )
      )}
    </div>
  );
}
