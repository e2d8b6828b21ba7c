import type { ProcessList } from "@clawdspace/client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Cpu } from "lucide-react";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { Empty, Failure } from "../../components/feedback.js";
import { toast } from "../../components/toast.js";
import { span } from "../../lib/format.js";
import { useNow } from "../../lib/now.js";
import { isAwake, queries } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";

type Process = ProcessList["processes"][number];

const REFRESH_MS = 3000;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGSTOP", "SIGCONT"];

const textOf = ({ command }: Process) => (Array.isArray(command) ? command.join(" ") : command);

/** What runs in a space. */
export default function ProcessesPane({ space }: { space: string }) {
  const state = useQuery(queries.space(space)).data;
  const awake = state !== undefined && isAwake(state);
  const processes = useQuery({
    ...queries.processes(space),
    // What a program starts by itself is no event.
    refetchInterval: awake ? REFRESH_MS : false,
  });
  const list = processes.data ?? [];
  return (
    <div className="pane" tabIndex={0}>
      {processes.error && <Failure error={processes.error} />}
      {processes.isSuccess && list.length === 0 && (
        <Empty icon={<Cpu />} title={awake ? "Nothing runs" : "It sleeps"}>
          {awake
            ? "Start something in a terminal, or by the API, and it appears here."
            : "While a space sleeps its processes are frozen. Wake it to see them."}
        </Empty>
      )}
      {list.length > 0 && (
        <div className="table-scroll" tabIndex={0}>
          <table className="table processes">
            <thead>
              <tr>
                <th>PID</th>
                <th>Command</th>
                <th>Kind</th>
                <th>For</th>
                <th>State</th>
                <th>
                  <span className="hidden-label">Signal</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((process) => (
                <ProcessRow
                  key={process.managed ? process.id : process.pid}
                  space={space}
                  process={process}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function ProcessRow({ space, process }: { space: string; process: Process }) {
  const now = useNow();
  const client = useQueryClient();
  const may = useMay("agent");
  const signal = useMutation({
    mutationFn: async (name: string) => {
      if (process.managed) return await api.space(space).processes.signal(process.id, name);
      const { exitCode, stderr } = await api
        .space(space)
        .exec(["kill", `-${name}`, String(process.pid)])
        .wait();
      if (exitCode !== 0) throw new Error(stderr.trim());
    },
    onSuccess: (_, name) => toast.done(`${name} sent to ${process.pid}`),
    onSettled: () => client.invalidateQueries({ queryKey: ["processes", space] }),
  });
  const ended = process.status === "exited";
  const until = process.managed && process.endedAt ? Date.parse(process.endedAt) : now;
  return (
    <tr>
      <td className="num mono pid">{process.pid || "–"}</td>
      <td className="mono command">{textOf(process)}</td>
      <td className="dim kind">{process.managed ? (process.tag ?? process.kind) : "own"}</td>
      <td className="num dim age">
        {process.startedAt ? span(until - Date.parse(process.startedAt)) : "–"}
      </td>
      <td className="state">
        <span className={`chip ${ended ? "" : "awake"}`}>
          {process.managed && ended ? `exit ${process.exitCode}` : "running"}
        </span>
      </td>
      <td className="signal">
        {may && !ended && process.pid !== 1 && (
          <div className="row">
            <select
              className="input fit small-select"
              aria-label={`Signal for ${process.pid}`}
              defaultValue=""
              onChange={(event) => {
                if (event.target.value) signal.mutate(event.target.value);
                event.target.value = "";
              }}
            >
              <option value="">Signal…</option>
              {SIGNALS.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
            <Button small busy={signal.isPending} onClick={() => signal.mutate("SIGTERM")}>
              End
            </Button>
          </div>
        )}
      </td>
    </tr>
  );
}
