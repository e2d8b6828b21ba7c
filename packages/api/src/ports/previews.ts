import {
  ClawdspaceError,
  DEFAULT_LINK_SECONDS,
  type PreviewLink,
  type PreviewLinkRequest,
} from "@clawdspace/protocol";
import type { SpaceService } from "../spaces/space-service.js";
import { type HostTarget, parsePreviewHost, toHostPart } from "./preview-host.js";
import type { PreviewTokens, TokenUse } from "./preview-token.js";
import { TOKEN_PARAMETER } from "./secrets.js";

/** A port of a space that somebody may use until then (seconds since 1970). */
export interface Permit {
  space: string;
  port: number;
  expires: number;
  keepPrefix: boolean;
}

/** Links to ports of spaces for those who have no key: a path of this API, or a host of its own below a domain. */
export class Previews {
  readonly #spaceOfPart = new Map<string, string>();

  /** @param domain lower-case; undefined where previews have no hosts. */
  constructor(
    private readonly spaces: Pick<SpaceService, "find" | "list">,
    private readonly tokens: PreviewTokens,
    private readonly domain: string | undefined,
  ) {}

  /**
   * A link to a port, whether or not something listens there.
   * @param at how the one who asks reached this daemon: "http" or "https", and its `Host`.
   * Throws `not_found`, `unprocessable` where a host is asked for and there is no domain.
   */
  async link(
    space: string,
    port: number,
    request: PreviewLinkRequest,
    at: { protocol: string; host: string },
  ): Promise<PreviewLink> {
    const via = request.via ?? (this.domain ? "host" : "path");
    const { id } = await this.spaces.find(space);
    const expires =
      Math.floor(Date.now() / 1000) + (request.expiresInSeconds ?? DEFAULT_LINK_SECONDS);
    const keepPrefix = via === "path" && (request.keepPrefix ?? false);
    const token = await this.tokens.sign(via, { containerId: id, port, expires, keepPrefix });
    const expiresAt = new Date(expires * 1000).toISOString();
    if (via === "path") {
      const basePath = `${pathPrefix(space, token)}/`;
      return { url: `${at.protocol}://${at.host}${basePath}`, expiresAt, via, basePath };
    }
    const [outerPort = ""] = /:\d+$/.exec(at.host) ?? [];
    const host = `${port}-${toHostPart(space)}.${this.#domain()}${outerPort}`;
    const url = `${at.protocol}://${host}/?${TOKEN_PARAMETER}=${token}`;
    return { url, expiresAt, via, basePath: "/" };
  }

  /** What a token permits; undefined where it permits nothing, whatever is wrong with it. */
  async permit(use: TokenUse, space: string, token: string): Promise<Permit | undefined> {
    const entry = await this.spaces.find(space).catch(notFoundAsUndefined);
    const claims = entry && (await this.tokens.verify(use, token, entry.id));
    return claims && { space, ...claims };
  }

  /** What a permit for a host is traded for, to be kept by the browser. */
  async visit(permit: Permit): Promise<string> {
    const { id: containerId } = await this.spaces.find(permit.space);
    return await this.tokens.sign("visit", { ...permit, containerId });
  }

  /** undefined where a host is none of the previews'. */
  hostTarget(host: string | undefined): HostTarget | undefined {
    return this.domain === undefined ? undefined : parsePreviewHost(host, this.domain);
  }

  /** The space that a host part stands for; undefined where there is none. */
  async spaceOf(hostPart: string): Promise<string | undefined> {
    if (!hostPart.startsWith("-")) return toHostPart(hostPart) === hostPart ? hostPart : undefined;
    const known = this.#spaceOfPart.get(hostPart);
    if (known && (await this.spaces.find(known).catch(notFoundAsUndefined))) return known;
    this.#spaceOfPart.delete(hostPart);
    const [name, another] = (await this.spaces.list())
      .map((space) => space.name)
      .filter((each) => toHostPart(each) === hostPart);
    if (name === undefined || another !== undefined) return undefined;
    this.#spaceOfPart.set(hostPart, name);
    return name;
  }

  #domain(): string {
    if (this.domain) return this.domain;
    throw new ClawdspaceError(
      "unprocessable",
      'This node has no domain for previews. Set CLAWDSPACE_PREVIEW_DOMAIN, or ask for a link with "via": "path".',
    );
  }
}

/** Where a token's port stands below the API. */
export const pathPrefix = (space: string, token: string) => `/api/spaces/${space}/preview/${token}`;

function notFoundAsUndefined(error: unknown): undefined {
  if (error instanceof ClawdspaceError && error.code === "not_found") return undefined;
  throw error;
}
