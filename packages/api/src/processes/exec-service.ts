import type { ExecRequest, ExecResult } from "@clawdspace/protocol";
import type { SpaceService } from "../spaces/space-service.js";
import { captureExec } from "./capture.js";
import type { CommandRunner, ExecOutput } from "./command-runner.js";
import { type PauseEvent, withPauses } from "./with-pauses.js";

/** Runs commands in spaces, found by their names and woken first. */
export class ExecService {
  constructor(
    private readonly spaces: SpaceService,
    private readonly commands: CommandRunner,
  ) {}

  /** Waits for a command; its output comes with its exit. Throws as `CommandRunner.run`, and `not_found` for the space. */
  async run(name: string, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      return await captureExec(this.commands.run(entry, request, signal), request);
    } finally {
      release();
    }
  }

  /** As `CommandRunner.run`; tells too when the space is paused meanwhile and when it goes on. Throws `not_found` for the space. */
  async *follow(
    name: string,
    request: ExecRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ExecOutput | PauseEvent> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      yield* withPauses(entry, this.commands.run(entry, request, signal));
    } finally {
      release();
    }
  }
}
