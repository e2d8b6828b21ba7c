/**
 * A signal that is aborted after `ms` milliseconds, or with any of the others. `AbortSignal.any` alone isn't enough: Node 20 lets
 * go of a timeout that nothing else refers to, which then never comes; a listener of its own keeps it.
 */
export function within(ms: number, ...signals: AbortSignal[]): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  timeout.addEventListener("abort", () => {}, { once: true });
  return AbortSignal.any([timeout, ...signals]);
}
