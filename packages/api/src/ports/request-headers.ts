import { toInnerCookies } from "./cookies.js";
import { innerHost, type Mount, toInnerPath } from "./mount.js";
import { withoutSecrets } from "./secrets.js";

/** Headers as Node gives and takes them raw: name, value, name, value, with their case, order and repetitions. */
export type RawHeaders = readonly string[];

/** Those that speak of one connection, not of the message. */
export const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * What tells of the way here, of the daemon, or of who asks. The server in the space is told that a browser beside it
 * asks for localhost: dev servers refuse hosts that they don't know, and one that compares `Origin` with `Host` and
 * with `X-Forwarded-Host` must find them equal.
 */
const WITHHELD =
  /^(host|expect|http2-settings|forwarded|via|x-real-ip|x-forwarded-.*|tailscale-.*)$/;

export interface Outside {
  mount: Mount;
  /** The `Host` that the client asked for. */
  host: string | undefined;
  /** Whether a text is a key of this daemon's. */
  isKey: (text: string) => boolean;
}

/** Headers of a request as the space may see them. `upgrade` is the protocol that is switched to, if any. */
export function toInnerHeaders(
  headers: RawHeaders,
  outside: Outside,
  request: { method: string; upgrade: string | undefined },
): string[] {
  const { mount } = outside;
  const dropped = hopByHopOf(headers);
  const inner = ["Host", innerHost(mount)];
  let chunked = false;
  let sized = false;
  for (const [name, value] of pairs(headers)) {
    const key = name.toLowerCase();
    if (key === "transfer-encoding") chunked = true;
    if (key === "content-length") sized = true;
    if (dropped.has(key) || WITHHELD.test(key)) continue;
    const kept = toInnerValue(key, value, outside);
    if (kept !== undefined) inner.push(name, kept);
  }
  if (mount.prefix && !mount.keepPrefix) inner.push("X-Forwarded-Prefix", mount.prefix);
  if (request.upgrade !== undefined) {
    return [...inner, "Connection", "Upgrade", "Upgrade", request.upgrade];
  }
  inner.push("Connection", "close");
  if (chunked) inner.push("Transfer-Encoding", "chunked");
  else if (!sized && ["POST", "PUT", "PATCH"].includes(request.method)) {
    inner.push("Content-Length", "0");
  }
  return inner;
}

function toInnerValue(key: string, value: string, outside: Outside): string | undefined {
  const { mount, isKey } = outside;
  switch (key) {
    case "authorization":
      return isKey(value.replace(/^bearer\s+/i, "").trim()) ? undefined : value;
    case "cookie":
      return toInnerCookies(value, mount);
    case "origin":
      return isOwnOrigin(value, outside) ? `http://${innerHost(mount)}` : value;
    case "referer":
      return toInnerReferer(value, outside);
    case "sec-fetch-site":
      // A sandboxed page is a stranger even to its own server.
      return mount.shared ? undefined : value;
    default:
      return value;
  }
}

/** A sandboxed page has the origin "null". */
function isOwnOrigin(origin: string, { mount, host }: Outside): boolean {
  if (origin === "null") return mount.shared;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

/** Only where it names a page of the port itself; any other may hold a key, or tell where somebody came from. */
function toInnerReferer(referer: string, { mount, host, isKey }: Outside): string | undefined {
  if (!URL.canParse(referer)) return undefined;
  const url = new URL(referer);
  if (url.host !== host?.toLowerCase() || !url.pathname.startsWith(`${mount.prefix}/`)) {
    return undefined;
  }
  const rest = withoutSecrets(url.pathname.slice(mount.prefix.length) + url.search, isKey);
  return `http://${innerHost(mount)}${toInnerPath(mount, rest)}`;
}

/** Lower-case names of headers that end here: the standard ones, and those that `Connection` names. */
export function hopByHopOf(headers: RawHeaders): Set<string> {
  const names = new Set(HOP_BY_HOP);
  for (const [name, value] of pairs(headers)) {
    if (name.toLowerCase() !== "connection") continue;
    for (const each of value.split(",")) names.add(each.trim().toLowerCase());
  }
  return names;
}

export function* pairs(headers: RawHeaders): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    yield [headers[at] ?? "", headers[at + 1] ?? ""];
  }
}
