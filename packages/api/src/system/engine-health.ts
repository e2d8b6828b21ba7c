import type { Engine } from "../engine/engine.js";

/** An engine that takes longer to say that it is there counts as unreachable. */
const PING_MS = 2000;
/** However often it is asked, the engine is so only once in this time. */
const KEPT_MS = 1000;

/** Whether the engine answers at all. */
export class EngineHealth {
  #asked = 0;
  #answer = Promise.resolve(true);

  constructor(private readonly engine: Pick<Engine, "ping">) {}

  /** Answers within two seconds, whatever the engine does. */
  async answers(): Promise<boolean> {
    if (Date.now() - this.#asked > KEPT_MS) {
      this.#asked = Date.now();
      this.#answer = this.engine.ping(PING_MS).then(
        () => true,
        () => false,
      );
    }
    return await this.#answer;
  }
}
