import type { Finding } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, RefreshCw, TriangleAlert } from "lucide-react";
import { Button } from "../../components/button.js";
import { Failure } from "../../components/feedback.js";
import { queries } from "../../lib/queries.js";

const STATES = {
  ok: { icon: CircleCheck, text: "ok" },
  warning: { icon: TriangleAlert, text: "warning" },
  failed: { icon: CircleX, text: "failed" },
} as const;

/** What is wrong with the node, and what mends it: the same as `clawdspace doctor` tells. */
export function DoctorPanel() {
  const doctor = useQuery(queries.doctor());
  const findings = doctor.data ?? [];
  return (
    <section className="panel" aria-label="Doctor">
      <header className="panel-head">
        <h2>Doctor</h2>
        <Verdict findings={findings} />
        <span className="grow" />
        <Button
          small
          icon={<RefreshCw />}
          busy={doctor.isFetching}
          onClick={() => void doctor.refetch()}
        >
          Look again
        </Button>
      </header>
      {doctor.error && <Failure error={doctor.error} />}
      {doctor.isPending && <div className="skeleton findings-skeleton" />}
      <ul className="findings">
        {findings.map((finding) => (
          <FindingRow key={finding.name} {...finding} />
        ))}
      </ul>
    </section>
  );
}

function Verdict({ findings }: { findings: Finding[] }) {
  if (findings.length === 0) return null;
  const bad = findings.filter(({ status }) => status !== "ok");
  if (bad.length === 0) return <span className="chip awake">All well</span>;
  const failed = bad.some(({ status }) => status === "failed");
  return <span className={`chip ${failed ? "danger" : "warn"}`}>{bad.length} to mend</span>;
}

function FindingRow({ name, status, detail, fix }: Finding) {
  const { icon: Icon, text } = STATES[status];
  return (
    <li className="finding" data-status={status}>
      <Icon aria-label={text} role="img" />
      <strong>{name}</strong>
      <div>
        <p>{detail}</p>
        {fix && <p className="fix">{withCode(fix)}</p>}
      </div>
    </li>
  );
}

/** Text whose commands stand between backticks. */
const withCode = (text: string) =>
  text
    .split("`")
    .map((piece, index) => (index % 2 === 1 ? <code key={piece}>{piece}</code> : piece));
