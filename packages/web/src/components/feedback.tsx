import { ClawdspaceError } from "@clawdspace/client";
import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./button.js";

interface EmptyProps {
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

/** What stands where there is nothing yet: what it would be, and what to do first. */
export function Empty({ icon, title, children, action }: EmptyProps) {
  return (
    <div className="empty">
      <div className="empty-icon" aria-hidden="true">
        {icon}
      </div>
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  );
}

const NEXT: Partial<Record<string, string>> = {
  unreachable: "The daemon doesn't answer. It may be restarting: this page tries again by itself.",
  engine_unavailable: "The daemon runs, but its Docker Engine doesn't answer. See `docker info`.",
  forbidden: "Your key isn't allowed to do this. Sign in with another one.",
  not_found: "It may have been removed meanwhile.",
};

/** An error with what to do next. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const known = error instanceof ClawdspaceError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div className="failure" role="alert">
      <CircleAlert aria-hidden="true" />
      <div className="grow">
        <p>{message}</p>
        {known && NEXT[known.code] && <p className="dim">{NEXT[known.code]}</p>}
      </div>
      {onRetry && (
        <Button small onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
