interface Props {
  label: string;
  /** 0 to 1. */
  share: number;
}

const HIGH = 0.85;

/** How much of something is used. */
export const Meter = ({ label, share }: Props) => (
  // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> each in its own way
  <div
    className={`meter${share > HIGH ? " high" : ""}`}
    role="meter"
    aria-label={label}
    aria-valuenow={Math.round(share * 100)}
    aria-valuemin={0}
    aria-valuemax={100}
  >
    <i style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
  </div>
);
