import { engineJson, engineRequest, followMessages } from "./engine-http.mjs";
import { ensureBase, imageExists, pull, removeOtherBases } from "./image-base.mjs";
import { excerpt } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";
import { hashFiles, ROOT, readFiles } from "./sources.mjs";
import { packTar } from "./tar.mjs";

const IMAGE = "clawdspace:latest";
const DEFAULT_BASE = "debian:bookworm-slim";
const CONTEXT = ["docker", "packages/guest"];
const BUILD_LABEL = "clawdspace.build";
const SOURCE_LABEL = "clawdspace.source";
const PROXY_VARIABLES = ["http_proxy", "https_proxy", "no_proxy"].flatMap((name) => [
  name,
  name.toUpperCase(),
]);

/**
 * Makes sure the engine has the sandbox image as the sources in this clone describe it.
 * @param {string} address the engine's
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<{ name: string, detail: string }>}
 */
export async function ensureImage(address, context) {
  const { progress } = context;
  const chosen = process.env.CLAWDSPACE_IMAGE;
  if (chosen && chosen !== IMAGE) return chosenImage(address, chosen, progress);

  const files = contextFiles();
  const base = process.env.CLAWDSPACE_IMAGE_BASE ?? DEFAULT_BASE;
  const source = hashFiles(files, base);
  const present = await engineJson(address, { path: `/images/${IMAGE}/json` });
  if (present?.Config?.Labels?.[SOURCE_LABEL] === source) {
    return { name: IMAGE, detail: `${IMAGE}, unchanged` };
  }
  const from = await ensureBase(address, base, context);
  await build(address, files, from, source, progress);
  await removeLeftovers(address);
  await removeOtherBases(address, from);
  return { name: IMAGE, detail: `${IMAGE} from ${from}` };
}

/** An image of the user's own is never built, only fetched where it is missing. */
async function chosenImage(address, name, progress) {
  if (await imageExists(address, name))
    return { name, detail: `${name}, as CLAWDSPACE_IMAGE says` };
  const refusal = await pull(address, name, progress);
  if (refusal === undefined) return { name, detail: `${name}, pulled` };
  throw new SetupError(
    `CLAWDSPACE_IMAGE is "${name}", which the engine does not have and cannot pull: ${refusal}. ` +
      "Load it, correct the name, or unset CLAWDSPACE_IMAGE for the image of this clone.",
  );
}

/** What the image is made of. Tests and build output beside it do not count. */
function contextFiles() {
  const skip = (path) =>
    /(^|\/)(build|test|fuzz|node_modules)$/.test(path) || /(\.md|\.test\.[a-z]+|~)$/.test(path);
  return readFiles(ROOT, CONTEXT, skip);
}

async function build(address, files, from, source, progress) {
  const proxies = PROXY_VARIABLES.filter((name) => process.env[name]);
  const buildArgs = {
    BASE: from,
    ...Object.fromEntries(proxies.map((name) => [name, process.env[name]])),
  };
  // The engine's classic builder: every version since 20.10 and Podman have it, and it needs no
  // client and no plug-in here.
  const query = new URLSearchParams({
    version: "1",
    t: IMAGE,
    dockerfile: "docker/Dockerfile",
    buildargs: JSON.stringify(buildArgs),
    labels: JSON.stringify({ [SOURCE_LABEL]: source }),
    rm: "1",
    forcerm: "1",
  });
  const stop = new AbortController();
  let output = "";
  try {
    const answer = await engineRequest(address, {
      method: "POST",
      path: `/build?${query}`,
      headers: { "content-type": "application/x-tar" },
      body: packTar(files),
      signal: stop.signal,
    });
    await followMessages(answer, ({ stream }) => {
      if (!stream) return;
      output += stream;
      progress(stream.trim().split("\n").pop() || "building");
    });
  } catch (error) {
    throw new SetupError(
      `The sandbox image could not be built: ${error.message}\n\n${excerpt(output)}`,
    );
  }
}

/**
 * Removes what builds leave behind: the image that lost its name to the new one, unless a space
 * still runs on it, and the stage that compiled the guest agent, which would keep an old base.
 */
async function removeLeftovers(address) {
  const filters = JSON.stringify({ dangling: ["true"], label: [BUILD_LABEL] });
  const images = await engineJson(address, {
    path: `/images/json?filters=${encodeURIComponent(filters)}`,
  });
  for (const { Id } of images) {
    await engineJson(address, { method: "DELETE", path: `/images/${Id}` }).catch(() => {});
  }
}
