import type { ExecRequest } from "@clawdspace/protocol";
import type { SpaceService } from "../spaces/space-service.js";
import type { CommandRunner, ExecOutput } from "./command-runner.js";

/** Runs commands in spaces and waits for them. */
export class ExecService {
  constructor(
    private readonly spaces: SpaceService,
    private readonly commands: CommandRunner,
  ) {}

  /** As `CommandRunner.run`, in a space found by its name and woken first. Throws `not_found` for the space too. */
  async *run(name: string, request: ExecRequest, signal: AbortSignal): AsyncGenerator<ExecOutput> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      yield* this.commands.run(entry, request, signal);
    } finally {
      release();
    }
  }
}
