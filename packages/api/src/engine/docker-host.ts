import type Docker from "dockerode";
import { EngineError } from "./engine.js";

/** DOCKER_HOST as options to connect with. Throws `EngineError` where it names no transport we speak. */
export function connectOptions(dockerHost: string): Docker.DockerOptions {
  if (dockerHost.startsWith("/")) return { socketPath: dockerHost };
  const unix = /^unix:\/\/(\/.+)$/.exec(dockerHost)?.[1];
  if (unix) return { socketPath: unix };
  const tcp = /^(?:tcp|http):\/\/(\[[^\]]+\]|[^/:]+):(\d+)\/?$/.exec(dockerHost);
  if (tcp)
    return { protocol: "http", host: (tcp[1] ?? "").replace(/^\[|\]$/g, ""), port: Number(tcp[2]) };
  throw new EngineError(
    "invalid",
    `DOCKER_HOST is "${dockerHost}"; give unix:///path/to/docker.sock or tcp://host:port`,
  );
}
