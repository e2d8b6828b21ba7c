import { outputBytes } from "@clawdspace/client";
import { cutMiddle } from "@clawdspace/mcp/for-models";
import { defined, need } from "../parameters.js";
import { type Actions, said, told } from "./call.js";

type Name =
  | ("process_start" | "process_list" | "process_output" | "process_write" | "process_stop")
  | ("ports_list" | "port_wait" | "port_link");

const PORT_WAIT_MS = 30_000;

/** What goes on in the background, and what listens. */
export const PROCESS_ACTIONS: Actions<Name> = {
  process_start: async ({ given, space }) => {
    const { cwd } = given;
    const started = await space().processes.start(need(given, "command"), defined({ cwd }));
    return told({ process: started });
  },
  process_list: async ({ space }) => told({ processes: await space().processes.list() }),
  process_output: async ({ given, space, config, stopping }) => {
    const id = need(given, "processId");
    const bytes = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    let next = given.from ?? 0;
    const options = { follow: false, from: next, ...stopping };
    for await (const event of space().processes.output(id, options)) {
      if (event.type === "stdout" || event.type === "stderr") {
        const piece = outputBytes(event);
        bytes[event.type].push(piece);
        next = event.offset + piece.length;
      } else if (event.type === "dropped") next = event.offset + event.bytes;
    }
    const { status, exitCode } = await space().processes.get(id);
    const text = (name: keyof typeof bytes) => Buffer.concat(bytes[name]).toString("utf8");
    const output = { stdout: text("stdout"), stderr: text("stderr") };
    const part = (name: keyof typeof output) =>
      `${name}:\n${cutMiddle(output[name], config.maxExecOutputChars)}`;
    const state = exitCode === undefined ? status : `exited with code ${exitCode}`;
    return said(`${state}; next offset ${next}\n${part("stdout")}\n${part("stderr")}`, {
      ...{ ...output, state, next },
      ...defined({ exitCode }),
    });
  },
  process_write: async ({ given, space }) => {
    const [id, text] = [need(given, "processId"), given.content ?? ""];
    if (text !== "") await space().processes.stdin(id, text);
    if (given.close) await space().processes.closeStdin(id);
    return said(`Wrote ${text.length} characters${given.close ? ", and closed its input" : ""}.`);
  },
  process_stop: async ({ given, space }) => {
    const signal = given.signal ?? "SIGTERM";
    await space().processes.signal(need(given, "processId"), signal, "all");
    return said(`Sent ${signal}. See process_list for whether it has ended.`);
  },
  ports_list: async ({ space }) => told(await space().ports.list()),
  port_wait: async ({ given, space, stopping }) => {
    const options = { timeoutMs: given.timeoutMs ?? PORT_WAIT_MS, ...stopping };
    return told(await space().ports.wait(need(given, "port"), options));
  },
  port_link: async ({ given, space }) => {
    const link = await space().ports.link(need(given, "port"));
    return said(link.url, link);
  },
};
