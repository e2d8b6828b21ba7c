import { toOuterCookie } from "./cookies.js";
import { type Mount, toOuterLocation } from "./mount.js";
import { hopByHopOf, pairs, type RawHeaders } from "./request-headers.js";

/** What a page from the API's origin may do: anything but act as that origin, or steer the window that holds it. */
const SANDBOX =
  "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads allow-pointer-lock";

/** What would speak for the whole origin, which is the API's and not the space's. */
const ORIGIN_WIDE = new Set([
  "alt-svc",
  "clear-site-data",
  "nel",
  "origin-agent-cluster",
  "origin-trial",
  "public-key-pins",
  "report-to",
  "service-worker-allowed",
  "strict-transport-security",
]);

/** Headers of the space's answer as they may leave the daemon. `origin` is that of the request. */
export function toOuterHeaders(
  headers: RawHeaders,
  mount: Mount,
  request: { origin: string | undefined; upgrade: string | undefined },
): string[] {
  const dropped = hopByHopOf(headers);
  const bridged = mount.shared && request.origin === "null";
  const outer: string[] = [];
  for (const [name, value] of pairs(headers)) {
    const key = name.toLowerCase();
    if (dropped.has(key) || (mount.shared && ORIGIN_WIDE.has(key))) continue;
    if (bridged && key.startsWith("access-control-allow-")) continue;
    const kept = toOuterValue(key, value, mount);
    if (kept !== undefined) outer.push(name, kept);
  }
  if (request.upgrade !== undefined) {
    outer.push("Connection", "Upgrade", "Upgrade", request.upgrade);
  }
  if (mount.shared) outer.push("Content-Security-Policy", SANDBOX);
  if (bridged) outer.push(...sameOriginHeaders());
  return outer;
}

function toOuterValue(key: string, value: string, mount: Mount): string | undefined {
  if (key === "set-cookie") return toOuterCookie(value, mount);
  if (key === "location" || key === "content-location") return toOuterLocation(mount, value);
  return value;
}

/** What lets a sandboxed page, a stranger to its own server by the browser's rules, load and fetch from it. */
export function sameOriginHeaders(preflight?: {
  method: string | undefined;
  headers: string | undefined;
}): string[] {
  return [
    ...["Access-Control-Allow-Origin", "null"],
    ...["Access-Control-Allow-Credentials", "true"],
    ...["Vary", "Origin"],
    ...(preflight?.method ? ["Access-Control-Allow-Methods", preflight.method] : []),
    ...(preflight?.headers ? ["Access-Control-Allow-Headers", preflight.headers] : []),
  ];
}
