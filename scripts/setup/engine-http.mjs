import http from "node:http";
import { connectionOptions } from "./engine-address.mjs";
import { SetupError } from "./setup-error.mjs";

const PING_TIMEOUT_MS = 5_000;

/**
 * Sends one request to the engine's HTTP API. Node's own client, because the set-up runs before
 * any dependency is there.
 * @param {string} address as in DOCKER_HOST
 * @param {{ method?: string, path: string, headers?: Record<string, string>, signal?: AbortSignal,
 *   body?: string | import("node:stream").Readable }} request
 * @returns {Promise<http.IncomingMessage>} the answer, its body unread
 */
export function engineRequest(address, { method = "GET", path, headers, body, signal }) {
  const options = connectionOptions(address);
  return new Promise((resolve, reject) => {
    const request = http.request(
      { ...options, method, path, headers: { host: "docker", ...headers }, signal },
      resolve,
    );
    request.on("error", reject);
    if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) {
      request.end(body);
      return;
    }
    body.on("error", (error) => request.destroy(error));
    body.pipe(request);
  });
}

/** Reads an answer to its end. @returns {Promise<string>} */
export async function readAll(answer) {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += chunk;
  return text;
}

/**
 * Asks for a JSON document.
 * @returns {Promise<any>} undefined when the engine answers 404
 * @throws {SetupError} on any other status than 2xx and 404
 */
export async function engineJson(address, request) {
  const answer = await engineRequest(address, request);
  const text = await readAll(answer);
  if (answer.statusCode === 404) return undefined;
  if ((answer.statusCode ?? 500) >= 300) {
    throw new SetupError(`The engine refused ${request.path.split("?")[0]}: ${text.trim()}`);
  }
  return text.trim() === "" ? {} : JSON.parse(text);
}

/**
 * Follows an answer made of JSON lines: an image being built, pulled or imported.
 * @param {(message: Record<string, any>) => void} onMessage
 * @throws {SetupError} on a status or a message that says it failed
 */
export async function followMessages(answer, onMessage) {
  if (answer.statusCode !== 200) {
    const text = await readAll(answer);
    throw new SetupError(errorText(text));
  }
  let pending = "";
  for await (const chunk of answer.setEncoding("utf8")) {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  take(pending);

  function take(line) {
    if (line.trim() === "") return;
    const message = JSON.parse(line);
    if (message.error) throw new SetupError(String(message.error).trim());
    onMessage(message);
  }
}

function errorText(text) {
  try {
    return JSON.parse(text).message ?? text;
  } catch {
    return text;
  }
}

/**
 * Whether an engine answers at an address.
 * @returns {Promise<{ ok: true, version: string } | { ok: false, reason: string }>}
 */
export async function pingEngine(address, timeoutMs = PING_TIMEOUT_MS) {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const version = await engineJson(address, { path: "/version", signal });
    if (typeof version?.Version !== "string") {
      return { ok: false, reason: "what answers there is not a Docker Engine" };
    }
    return { ok: true, version: describe(version) };
  } catch (error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") {
      return { ok: false, code: "ETIMEDOUT", reason: `no answer within ${timeoutMs / 1000} s` };
    }
    return { ok: false, code: error.code, reason: error.message };
  }
}

function describe(version) {
  const podman = version.Components?.find((part) => part.Name === "Podman Engine");
  return podman ? `Podman ${podman.Version}` : `Docker ${version.Version}`;
}
