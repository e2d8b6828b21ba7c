import type { CreateProgress } from "@clawdspace/client";
import { Check } from "lucide-react";
import { Meter } from "../../components/meter.js";
import { bytes } from "../../lib/format.js";

const NAMES: Record<CreateProgress["step"], string> = {
  image: "Image",
  container: "Container",
  env: "Environment",
  copy: "Copy",
  clone: "Clone",
  setup: "Set-up",
};

/** What a create is at. */
export function CreateSteps({ progress }: { progress: CreateProgress[] }) {
  const shown =
    progress.length > 0 ? progress : [{ step: "container", message: "Asking the daemon" } as const];
  return (
    <ol className="steps" aria-live="polite">
      {shown.map((each, index) => {
        const { step, message } = each;
        const { current, total } = each as CreateProgress;
        return (
          <li key={step}>
            {index < shown.length - 1 ? (
              <Check size={15} aria-hidden="true" />
            ) : (
              <span className="spinner" />
            )}
            <strong>{NAMES[step]}</strong>
            <span className="clip dim mono grow">{message}</span>
            {current !== undefined && total !== undefined && total > 0 && (
              <>
                <Meter label={NAMES[step]} share={current / total} />
                <span className="num dim">
                  {bytes(current)} of {bytes(total)}
                </span>
              </>
            )}
          </li>
        );
      })}
    </ol>
  );
}
