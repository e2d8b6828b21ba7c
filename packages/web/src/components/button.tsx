import type { ButtonHTMLAttributes, ReactNode } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "primary" | "danger" | "quiet" | "plain";
  small?: boolean;
  /** Shows that what was asked for is under way, and takes no second click. */
  busy?: boolean;
  icon?: ReactNode;
}

export function Button({ kind = "plain", small, busy, icon, children, disabled, ...rest }: Props) {
  const className = `button ${kind}${small ? " small" : ""}`;
  return (
    <button type="button" className={className} disabled={disabled || busy} {...rest}>
      {busy ? <span className="spinner" aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}

interface IconProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  label: string;
}

/** A button with an icon alone; its label is read out, and shown on hovering. */
export function IconButton({ label, children, className = "", ...rest }: IconProps) {
  return (
    <button
      type="button"
      className={`icon-button ${className}`}
      aria-label={label}
      title={label}
      {...rest}
    >
      {children}
    </button>
  );
}
