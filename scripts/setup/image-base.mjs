import { canInstall } from "./apt.mjs";
import { makeBase, PACKAGE_FILES } from "./base-from-packages.mjs";
import { engineJson, engineRequest, followMessages } from "./engine-http.mjs";
import { authorize } from "./root.mjs";
import { SetupError } from "./setup-error.mjs";
import { hashFiles, ROOT, readFiles } from "./sources.mjs";

const REPOSITORY = "clawdspace-base";
const REGISTRY_SILENT_MS = 10_000;

/**
 * Gets the image the sandbox image is built from: one the engine has, else from the registry,
 * else made from the distribution's own packages.
 * @param {string} address the engine's
 * @param {string} wanted such as debian:bookworm-slim
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<string>} its name
 */
export async function ensureBase(address, wanted, { progress, suspend }) {
  if (await imageExists(address, wanted)) return wanted;
  const made = `${REPOSITORY}:${hashFiles(readFiles(ROOT, PACKAGE_FILES), wanted).slice(0, 12)}`;
  if (await imageExists(address, made)) return made;
  progress(`pulling ${wanted}`);
  const refusal = await pull(address, wanted, progress);
  if (refusal === undefined) return wanted;
  if (!canInstall()) {
    throw new SetupError(
      `The base image ${wanted} cannot be pulled (${refusal}), and this machine is no Debian or ` +
        "Ubuntu with root's rights, where it could be made from packages. Load it by hand: " +
        `docker load, then docker tag IMAGE ${wanted}`,
    );
  }
  await authorize(suspend);
  await makeBase(address, made, progress);
  return made;
}

export async function imageExists(address, name) {
  return (await engineJson(address, { path: `/images/${name}/json` })) !== undefined;
}

/**
 * Pulls an image. A registry that does not begin to answer soon counts as unreachable.
 * @returns {Promise<string | undefined>} why it could not be pulled
 */
export async function pull(address, name, progress) {
  const [, repository, tag] = name.match(/^(.*?)(?::([^/:]+))?$/) ?? [];
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), REGISTRY_SILENT_MS);
  try {
    const query = new URLSearchParams({ fromImage: repository, tag: tag ?? "latest" });
    const answer = await engineRequest(address, {
      method: "POST",
      path: `/images/create?${query}`,
      signal: silence.signal,
    });
    await followMessages(answer, (message) => {
      timer.refresh();
      if (message.status) progress(`pulling ${name}: ${message.status} ${message.progress ?? ""}`);
    });
    return undefined;
  } catch (error) {
    return silence.signal.aborted ? `no answer in ${REGISTRY_SILENT_MS / 1000} s` : error.message;
  } finally {
    clearTimeout(timer);
  }
}

/** Removes bases made from packages for an earlier list of them, unless something uses them. */
export async function removeOtherBases(address, current) {
  const filters = JSON.stringify({ label: ["clawdspace.base=1"] });
  const images = await engineJson(address, {
    path: `/images/json?filters=${encodeURIComponent(filters)}`,
  });
  for (const name of images.flatMap((image) => image.RepoTags ?? [])) {
    if (name === current || !name.startsWith(`${REPOSITORY}:`)) continue;
    await engineJson(address, { method: "DELETE", path: `/images/${name}` }).catch(() => {});
  }
}
