interface Props {
  label: string;
  /** 0 to 1. */
  share: number;
  /** Where much of it is nothing to worry about. */
  calm?: boolean | undefined;
}

const HIGH = 0.85;

/** How much of something is used. */
export const Meter = ({ label, share, calm }: Props) => (
  // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> each in its own way
  <div
    className={`meter${share > HIGH && !calm ? " high" : ""}`}
    role="meter"
    aria-label={label}
    aria-valuenow={Math.round(share * 100)}
    aria-valuemin={0}
    aria-valuemax={100}
  >
    <i style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
  </div>
);
