import { ensureBuild } from "./build.mjs";
import { ensureDependencies } from "./dependencies.mjs";
import { ensureEngine } from "./engine.mjs";
import { ensureImage } from "./image.mjs";
import { takeLock } from "./lock.mjs";
import { checkNodeVersion } from "./node-version.mjs";
import { rerunInDockerGroup } from "./reexec.mjs";
import { endChildren } from "./run.mjs";
import { isClone } from "./sources.mjs";

/**
 * Turns a clone on a bare machine into one that can run: Node.js checked, dependencies, build,
 * engine and sandbox image. What is there already is left alone.
 * @param {ReturnType<import("./steps.mjs").createSteps>} steps
 * @returns {Promise<{ address: string, startedDirectly: boolean }>} the engine
 * @throws {import("./setup-error.mjs").SetupError} says what a person can do
 */
export async function prepare({ step, say }) {
  await step("Node.js", () => checkNodeVersion());
  const unlock = await takeLock(say);
  try {
    // First, because it may ask; then the image takes the longest, and the rest fits beside it.
    const engine = await step("Docker Engine", ensureEngine);
    if (engine.needsGroup) {
      unlock();
      await rerunInDockerGroup();
    }
    await Promise.all([
      step("Sandbox image", (context) => ensureImage(engine.address, context)),
      isClone() && step("Dependencies", ensureDependencies).then(() => step("Build", ensureBuild)),
    ]);
    return engine;
  } catch (error) {
    await endChildren();
    throw error;
  } finally {
    unlock();
  }
}
