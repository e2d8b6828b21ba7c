/** The product's mark: three claw strokes. */
export const Mark = () => (
  <svg className="mark" viewBox="0 0 24 24" aria-hidden="true">
    <g fill="none" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round">
      <path d="M4.5 20 9 3.5" />
      <path d="M11 20 15 6" />
      <path d="M17.2 20 20 10" />
    </g>
  </svg>
);
