import { pino } from "pino";
import { buildApp } from "./app.js";
import { readConfig } from "./config.js";
import { DockerEngine } from "./engine/docker-engine.js";
import { addressesOf, listen } from "./http/listen.js";
import { loadApiKey } from "./keys/api-key.js";
import { createServices } from "./services.js";

/** How long requests in flight may go on after SIGTERM. */
const DRAIN_MS = 10_000;

// Until it serves, whatever fails ends the daemon with a line that says why.
const giveUp = (error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
process.on("uncaughtException", giveUp);

const config = readConfig(process.env);
const log = pino({ level: config.logLevel });
process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));

const kept = config.apiKey ? undefined : await loadApiKey(config.configDir);
const services = createServices(
  config,
  new DockerEngine(config.dockerHost, config.engineTimeoutMs),
  log,
  config.apiKey ?? kept?.key ?? "",
);
const app = await buildApp(services, {
  authDisabled: config.authDisabled,
  logger: log,
  webDir: config.webDir,
});
await services.start();
const address = await listen(app, config.port, addressesOf(config));
process.off("uncaughtException", giveUp);
// Not before: a daemon that finds its port taken has made nothing.
services.pool.start();

if (kept?.created) {
  // The one time that the key is shown, and not by the logger, whose lines are kept.
  process.stdout.write(`\nYour API key, kept in ${kept.file}:\n\n    ${kept.key}\n\n`);
}
log.info(`Clawdspace serves at ${address}`);
if (config.authDisabled)
  log.warn("authentication is off: whoever reaches this address owns this machine");

let stoppingSince: number | undefined;
const stop = async (signal: NodeJS.Signals) => {
  // Ctrl-C can arrive twice at once, from the terminal and from what started us; a second one by hand means now.
  if (stoppingSince !== undefined && Date.now() - stoppingSince > 1000) process.exit(1);
  if (stoppingSince !== undefined) return;
  stoppingSince = Date.now();
  log.info(`${signal}: finishing what is in flight; spaces go on`);
  setTimeout(() => process.exit(0), DRAIN_MS).unref();
  await app.close();
  await services.stop();
  process.exit(0);
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
