import type { ExecRequest } from "@clawdspace/protocol";
import type { SpaceService } from "../spaces/space-service.js";
import type { CommandRunner, ExecOutput } from "./command-runner.js";
import { type PauseEvent, withPauses } from "./with-pauses.js";

/** Runs commands in spaces and waits for them. */
export class ExecService {
  constructor(
    private readonly spaces: SpaceService,
    private readonly commands: CommandRunner,
  ) {}

  /**
   * As `CommandRunner.run`, in a space found by its name and woken first; tells too when the space is paused meanwhile
   * and when it goes on. Throws `not_found` for the space.
   */
  async *run(
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
