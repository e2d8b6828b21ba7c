import { describe, expect, it } from "vitest";
import { connectionOptions, knownSockets } from "./engine-address.mjs";
import { SetupError } from "./setup-error.mjs";

describe("knownSockets", () => {
  it("tries the machine's Docker first, then the user's own, then Podman", () => {
    expect(knownSockets({ runtimeDir: "/run/user/1000", home: "/home/me" })).toEqual([
      "unix:///var/run/docker.sock",
      "unix:///run/user/1000/docker.sock",
      "unix:///run/podman/podman.sock",
      "unix:///run/user/1000/podman/podman.sock",
      "unix:///home/me/.docker/run/docker.sock",
    ]);
  });

  it("leaves out what the user has not", () => {
    expect(knownSockets({})).toEqual([
      "unix:///var/run/docker.sock",
      "unix:///run/podman/podman.sock",
    ]);
  });
});

describe("connectionOptions", () => {
  it.each([
    ["unix:///run/docker.sock", { socketPath: "/run/docker.sock" }],
    ["/run/docker.sock", { socketPath: "/run/docker.sock" }],
    ["tcp://10.0.0.5:2375", { host: "10.0.0.5", port: 2375 }],
    ["http://node2:2375", { host: "node2", port: 2375 }],
    ["tcp://[::1]:2375", { host: "::1", port: 2375 }],
  ])("reads %s", (address, options) => {
    expect(connectionOptions(address)).toEqual(options);
  });

  it.each([
    "ssh://me@host",
    "tcp://host",
    "docker.sock",
    "unix://docker.sock",
    "tcp://:2375",
    "npipe:////./pipe/docker",
  ])("refuses %s and names it", (address) => {
    expect(() => connectionOptions(address)).toThrow(SetupError);
    expect(() => connectionOptions(address)).toThrow(address);
  });
});
