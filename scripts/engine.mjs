// Finds, starts or installs a Docker Engine and prints its address, for use as DOCKER_HOST.
import { ensureEngine } from "./setup/engine.mjs";
import { takeLock } from "./setup/lock.mjs";
import { SetupError } from "./setup/setup-error.mjs";
import { createSteps } from "./setup/steps.mjs";

const steps = createSteps(process.stderr);

try {
  const unlock = await takeLock(steps.say);
  const { address } = await steps.step("Docker Engine", ensureEngine);
  unlock();
  console.log(address);
} catch (error) {
  console.error(`\n${error instanceof SetupError ? error.message : (error.stack ?? error)}`);
  process.exit(1);
}
