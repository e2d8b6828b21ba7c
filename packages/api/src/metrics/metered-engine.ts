import { type Engine, EngineError } from "../engine/engine.js";
import type { Metrics } from "./metrics.js";

/** The same engine; its calls and their failures are counted. */
export function meteredEngine(
  engine: Engine,
  { engineCalls, engineErrors }: Pick<Metrics, "engineCalls" | "engineErrors">,
): Engine {
  return new Proxy(engine, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function" || typeof name !== "string") return member;
      return (...parameters: unknown[]) => {
        engineCalls.inc({ call: name });
        const result: unknown = Reflect.apply(member, target, parameters);
        if (result instanceof Promise) {
          result.catch((error: unknown) => {
            const kind = error instanceof EngineError ? error.kind : "other";
            engineErrors.inc({ call: name, kind });
          });
        }
        return result;
      };
    },
  });
}
