import { Download } from "lucide-react";
import { useSearchParams } from "react-router";
import { AuditList } from "./audit-list.js";

const FIELDS = ["space", "type", "actor", "since", "until"] as const;

/** What was done, by whom: filtered by the address, as far back as one scrolls, all of it as a file. */
export default function AuditPage() {
  const [params, setParams] = useSearchParams();
  const filter = Object.fromEntries(
    FIELDS.flatMap((name) => {
      const value = params.get(name);
      return value ? [[name, value]] : [];
    }),
  );
  const set = (name: string, value: string) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value === "") next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  const query = new URLSearchParams({ ...filter, format: "jsonl" });
  const text = (name: "space" | "type" | "actor", label: string, placeholder: string) => (
    <input
      className="input mono"
      aria-label={label}
      placeholder={placeholder}
      value={params.get(name) ?? ""}
      onChange={(event) => set(name, event.target.value)}
    />
  );
  const day = (name: "since" | "until", label: string) => (
    <label className="day">
      <span className="dim">{label}</span>
      <input
        className="input"
        type="date"
        value={params.get(name) ?? ""}
        onChange={(event) => set(name, event.target.value)}
      />
    </label>
  );
  return (
    <>
      <header className="page-head">
        <h1 className="grow">Audit</h1>
        <a className="button" href={`/api/audit?${query}`} download="audit.jsonl">
          <Download aria-hidden="true" />
          Export
        </a>
      </header>
      <div className="toolbar audit-filters">
        {text("space", "Space", "space")}
        {text("type", "Type", "type, as space.exec")}
        {text("actor", "Actor", "actor, as key:owner")}
        {day("since", "from")}
        {day("until", "until")}
      </div>
      <AuditList filter={filter} />
    </>
  );
}
