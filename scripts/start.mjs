// `npm start`: from a fresh clone to a daemon that serves, in steps that are skipped once done.
import { daemonAddress, keyOrigin, runDaemon, runningDaemon } from "./setup/daemon.mjs";
import { prepare } from "./setup/prepare.mjs";
import { SetupError } from "./setup/setup-error.mjs";
import { createSteps } from "./setup/steps.mjs";

const steps = createSteps();

try {
  await leaveIfRunning();
  const engine = await prepare(steps);
  await leaveIfRunning();
  steps.say(`✓ API key: ${keyOrigin()}`);
  await runDaemon(engine.address);
  steps.say(`✓ Clawdspace serves at ${daemonAddress()}`);
} catch (error) {
  console.error(`\n${error instanceof SetupError ? error.message : (error.stack ?? error)}`);
  process.exit(1);
}

async function leaveIfRunning() {
  const version = await runningDaemon();
  if (version === undefined) return;
  steps.say(`✓ Clawdspace ${version} already serves at ${daemonAddress()}`);
  process.exit(0);
}
