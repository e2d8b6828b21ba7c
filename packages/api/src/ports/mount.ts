/** Where one port of a space stands for those who use it. */
export interface Mount {
  space: string;
  port: number;
  /** The path that the port's "/" has there, without its slash; "" where the port has an origin of its own. */
  prefix: string;
  /** The server in the space gets paths as the browser asks for them, prefix included. */
  keepPrefix: boolean;
  /** It shares the API's origin, so that its pages must not run as pages of that origin. */
  shared: boolean;
  /**
   * Set where a browser sends along the cookies of everything else at this host name: only cookies whose names begin
   * with it belong to the space.
   */
  cookieMarker: string | undefined;
  /** The path that cookies for "/" are kept under. */
  cookiePath: string;
}

/** How the server in the space is addressed: what a browser on the same machine as it would say. */
export const innerHost = (mount: Mount) => `localhost:${mount.port}`;

const LOOPBACK = new Set(["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"]);

/** A path as the server in the space names it, as those outside must name it. */
export function toOuterPath(mount: Mount, path: string): string {
  const has = mount.keepPrefix && (path === mount.prefix || path.startsWith(`${mount.prefix}/`));
  return has ? path : mount.prefix + path;
}

/** The target of the request to the space, for one that asks for `rest` ("/…" with its query) below the mount. */
export const toInnerPath = (mount: Mount, rest: string) =>
  mount.keepPrefix ? mount.prefix + rest : rest;

/**
 * A `Location` of the space as it leads there from outside: absolute paths and URLs of the port itself get the prefix,
 * everything else is left as it is.
 */
export function toOuterLocation(mount: Mount, location: string): string {
  const own = ownUrl(mount, location);
  if (own) return toOuterPath(mount, own.pathname + own.search + own.hash);
  return location.startsWith("/") && !location.startsWith("//")
    ? toOuterPath(mount, location)
    : location;
}

function ownUrl(mount: Mount, location: string): URL | undefined {
  if (!/^(https?:)?\/\//i.test(location)) return undefined;
  const base = `http://${innerHost(mount)}`;
  if (!URL.canParse(location, base)) return undefined;
  const url = new URL(location, base);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return LOOPBACK.has(url.hostname) && port === `${mount.port}` ? url : undefined;
}
