import type { Mount } from "./mount.js";

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Cookies of the daemon's own, also with the prefixes that browsers know. */
const OURS = /^(__host-|__secure-)*clawdspace_/i;

/**
 * The `Cookie` header as the space may see it: never a cookie of the daemon's, and none that another server at this
 * host name has set. undefined where nothing is left.
 */
export function toInnerCookies(header: string, mount: Mount): string | undefined {
  const kept: string[] = [];
  for (const pair of header.split(";")) {
    const cookie = pair.trim();
    const marker = mount.cookieMarker ?? "";
    if (!cookie.startsWith(marker)) continue;
    const inner = cookie.slice(marker.length);
    // Without "=" the whole of it is a value, which could be read as a name on its way back.
    const [name = ""] = inner.split("=");
    if (inner.includes("=") && !OURS.test(name.trim())) kept.push(inner);
  }
  return kept.length > 0 ? kept.join("; ") : undefined;
}

/**
 * A `Set-Cookie` of the space, confined to its port: without a domain, below the port's path.
 * undefined where it must not be set: it would be one of the daemon's own, or has no name.
 */
export function toOuterCookie(header: string, mount: Mount): string | undefined {
  const [pair = "", ...attributes] = header.split(";").map((part) => part.trim());
  const separator = pair.indexOf("=");
  const name = pair.slice(0, Math.max(separator, 0)).trim();
  if (!NAME.test(name) || OURS.test(name)) return undefined;
  let path = "/";
  const kept = attributes.filter((attribute) => {
    const [key = "", value = ""] = attribute.split("=").map((part) => part.trim());
    if (key.toLowerCase() === "path" && value.startsWith("/")) path = value;
    return key !== "" && !["path", "domain"].includes(key.toLowerCase());
  });
  const cookie = `${mount.cookieMarker ?? ""}${name}=${pair.slice(separator + 1).trim()}`;
  return [cookie, ...kept, `Path=${toCookiePath(mount, path)}`].join("; ");
}

function toCookiePath(mount: Mount, path: string): string {
  if (mount.keepPrefix && `${path}/`.startsWith(`${mount.prefix}/`)) return path;
  return path === "/" ? mount.cookiePath : mount.prefix + path;
}
