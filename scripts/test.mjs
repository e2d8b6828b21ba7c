// `npm test`: sets up as `npm start` does, then runs every stage (or those named: `npm test -- unit`)
// and closes with one line that counts them all.
import { stopEngine } from "./setup/engine-daemon.mjs";
import { prepare } from "./setup/prepare.mjs";
import { onInterrupt } from "./setup/run.mjs";
import { SetupError } from "./setup/setup-error.mjs";
import { createSteps } from "./setup/steps.mjs";
import { addUp, closingLine } from "./setup/test-report.mjs";
import { EXTRA_STAGES, runStage, STAGES } from "./setup/test-stages.mjs";
import { ensureTestTools } from "./setup/test-tools.mjs";

const steps = createSteps();

try {
  process.exitCode = await test(chosenStages(process.argv.slice(2)));
} catch (error) {
  console.error(`\n${error instanceof SetupError ? error.message : (error.stack ?? error)}`);
  console.log(`\n${closingLine({ passed: 0, failed: 1, skipped: 0 })}`);
  process.exitCode = 1;
}

function chosenStages(names) {
  const known = [...STAGES, ...EXTRA_STAGES];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return names.length > 0 ? names : STAGES;
  throw new SetupError(`There is no stage ${unknown.join(", ")}: ${known.join(", ")}.`);
}

async function test(stages) {
  const engine = await prepare(steps);
  if (engine.startedDirectly) onInterrupt(stopEngine);
  try {
    await steps.step("Test tools", ensureTestTools);
    const counts = [];
    for (const stage of stages) {
      steps.say(`\n── ${stage} ──`);
      const count = await runStage(stage, { DOCKER_HOST: engine.address });
      // A stage that runs nothing would pass for ever without anyone noticing.
      const empty = count.passed + count.failed === 0;
      counts.push(empty ? { ...count, failed: 1 } : count);
      const ran = count.passed + count.failed;
      steps.say(`${stage}: ${empty ? "no test ran" : `${count.passed} of ${ran} passed`}`);
    }
    const total = addUp(counts);
    for (const line of counts.flatMap((count) => count.troubles)) steps.say(line);
    steps.say(`\n${closingLine(total)}`);
    return total.failed > 0 ? 1 : 0;
  } finally {
    if (engine.startedDirectly) await stopEngine();
  }
}
