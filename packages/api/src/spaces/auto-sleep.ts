import type { FastifyBaseLogger } from "fastify";
import type { SpaceRegistry } from "./registry.js";
import type { SpaceService } from "./space-service.js";

const MAX_CHECK_MS = 15_000;

/** Pauses spaces that nobody has used for `idleTimeoutMs`, by one timer for all; 0 turns it off. Returns what stops it. */
export function startAutoSleep(
  spaces: SpaceService,
  registry: SpaceRegistry,
  idleTimeoutMs: number,
  log: FastifyBaseLogger,
): () => void {
  if (idleTimeoutMs === 0) return () => {};
  const check = async () => {
    const idleSince = new Date(Date.now() - idleTimeoutMs);
    for (const entry of await registry.all()) {
      if (entry.state !== "running" || entry.uses > 0 || entry.lastActivity >= idleSince) continue;
      if (await spaces.pauseIfIdle(entry, idleSince))
        log.info({ space: entry.name }, "paused an idle space");
    }
  };
  let busy = false;
  const timer = setInterval(
    () => {
      if (busy) return;
      busy = true;
      check()
        .catch((error: unknown) => log.warn({ err: error }, "could not look for idle spaces"))
        .finally(() => {
          busy = false;
        });
    },
    Math.max(100, Math.min(idleTimeoutMs / 4, MAX_CHECK_MS)),
  );
  timer.unref();
  return () => clearInterval(timer);
}
