import type { Engine } from "../engine/engine.js";
import type { ProcessHost } from "./process-host.js";

/** Processes as execs of the engine: for images where the guest agent can't run, and for the user root. */
export class EngineProcessHost implements ProcessHost {
  constructor(
    private readonly engine: Engine,
    private readonly containerId: string,
    private readonly user: "sandbox" | "root",
  ) {}
}
