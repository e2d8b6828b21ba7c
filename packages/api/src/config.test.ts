import { describe, expect, test } from "vitest";
import { readConfig } from "./config.js";

describe("readConfig", () => {
  test("an empty environment is the contract's defaults", () => {
    expect(readConfig({})).toMatchObject({
      port: 7777,
      apiKey: undefined,
      authDisabled: false,
      idleTimeoutMs: 600_000,
      image: "clawdspace:latest",
      gpuImage: "clawdspace-gpu:latest",
      namespace: "clawdspace",
      pool: 2,
      guest: true,
      dockerHost: "unix:///var/run/docker.sock",
      logLevel: "info",
    });
  });

  test("a variable that is empty counts as not set", () => {
    expect(readConfig({ PORT: "", API_KEY: "", LOG_LEVEL: "" })).toEqual(readConfig({}));
  });

  test("takes what is set", () => {
    const config = readConfig({
      PORT: "8080",
      API_KEY: "k",
      CLAWDSPACE_AUTH_DISABLED: "true",
      IDLE_TIMEOUT_MS: "0",
      CLAWDSPACE_DATA_DIR: "/data",
      XDG_CONFIG_HOME: "/home/x/.config",
      CLAWDSPACE_POOL: "0",
      CLAWDSPACE_GUEST: "off",
    });
    expect(config).toMatchObject({
      port: 8080,
      apiKey: "k",
      authDisabled: true,
      idleTimeoutMs: 0,
      dataDir: "/data",
      templatesDir: "/data/templates",
      configDir: "/home/x/.config/clawdspace",
      pool: 0,
      guest: false,
    });
  });

  test.each([
    ["PORT", "many"],
    ["PORT", "70000"],
    ["PORT", "7777.5"],
    ["IDLE_TIMEOUT_MS", "soon"],
    ["IDLE_TIMEOUT_MS", "-1"],
    ["CLAWDSPACE_AUTH_DISABLED", "maybe"],
    ["CLAWDSPACE_GUEST", "perhaps"],
    ["CLAWDSPACE_POOL", "-1"],
    ["CLAWDSPACE_NAMESPACE", "No Good"],
    ["LOG_LEVEL", "loud"],
  ])("%s=%s is named as what can't be used", (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(name);
  });

  test("tells every fault at once", () => {
    const read = () => readConfig({ PORT: "x", LOG_LEVEL: "y" });
    expect(read).toThrow(/PORT: .*received "x".*LOG_LEVEL/);
  });
});
