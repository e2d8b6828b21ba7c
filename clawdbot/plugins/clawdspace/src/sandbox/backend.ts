import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ClawdspaceError, type SpaceHandle } from "@clawdspace/client";
import { isAllowed } from "../access.js";
import type { PluginConfig } from "../config.js";
import { toEnvironment } from "../exec/request.js";
import { createFsBridge } from "./fs-bridge.js";
import { Sandboxes } from "./sandboxes.js";
import type { Backend, BackendRequest, Sandbox } from "./seam.js";
import { resolveTarget, WORKSPACE } from "./workspace-paths.js";

export const BACKEND = "clawdspace";
/** Beside this file in the plugin's package. */
const EXEC = fileURLToPath(new URL("./exec.js", import.meta.url));
/**
 * The host sets these for every command, by its own machine, and puts folders of its own before this PATH. Where they end so,
 * the space's own values serve; any other is what an agent or a setting asks for.
 */
const OWN_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/home/sandbox",
};

/**
 * Spaces as OpenClaw's sandboxes.
 * @param config asked for each time, as settings may change
 * @param exec the program that runs a command in a space
 */
export function createBackend(config: () => PluginConfig, exec = EXEC): Backend {
  const sandboxes = new Sandboxes(config);
  const label = () => config().sandbox.template ?? "default";

  return {
    resolveWorkdir: () => WORKSPACE,

    factory: async (request) =>
      toSandbox(await sandboxes.provide(request), request, sandboxes, label(), exec),

    manager: {
      async describeRuntime({ entry: { containerName } }) {
        try {
          const { status, template = "default" } = await sandboxes.named(containerName).get();
          const configLabelMatch = template === label();
          return { running: status === "running", actualConfigLabel: template, configLabelMatch };
        } catch (error) {
          // One that can't be looked at must not keep the host from listing the others.
          const why = error instanceof ClawdspaceError ? error.code : "denied";
          if (!(error instanceof ClawdspaceError) && isAllowed(containerName, config())) {
            throw error;
          }
          return { running: false, actualConfigLabel: why, configLabelMatch: false };
        }
      },

      /** The files stay, for the space that is made next under this name. */
      async removeRuntime({ entry: { containerName } }) {
        await sandboxes
          .named(containerName)
          .remove()
          .catch((error: unknown) => {
            if (!(error instanceof ClawdspaceError && error.code === "not_found")) throw error;
          });
      },
    },
  };
}

function toSandbox(
  space: SpaceHandle,
  { workspaceDir, cfg }: BackendRequest,
  sandboxes: Sandboxes,
  configLabel: string,
  exec: string,
): Sandbox {
  return {
    ...{ id: BACKEND, runtimeId: space.name, runtimeLabel: space.name },
    ...{ workdir: WORKSPACE, workdirRoots: [WORKSPACE], workdirValidation: "backend" },
    ...{ configLabel, configLabelKind: "Template" },
    env: { ...OWN_ENV, ...cfg.docker?.env },

    async validateWorkdir(workdir) {
      const { apiPath, containerPath } = resolveTarget(workspaceDir, { filePath: workdir });
      if (apiPath === "/") return containerPath;
      const stat = await space.files.stat(apiPath).catch(() => undefined);
      return stat?.type === "dir" ? containerPath : null;
    },

    async buildExecSpec({ command, workdir = WORKSPACE, env, usePty }) {
      const terminalTag = usePty ? `openclaw-${randomUUID()}` : undefined;
      return {
        argv: [process.execPath, exec],
        env: toEnvironment({
          ...sandboxes.address,
          ...{ space: space.name, command, cwd: workdir, env: withoutOwn(env) },
          ...(terminalTag === undefined ? {} : { terminalTag }),
        }),
        stdinMode: usePty ? "pipe-open" : "pipe-closed",
        finalizeToken: terminalTag,
      };
    },

    /** Ends a terminal whose process on the host was killed; every other command ends with its connection. */
    async finalizeExec({ token }) {
      if (typeof token !== "string") return;
      for (const each of await space.processes.list({ tag: token })) {
        if (each.managed) await space.processes.remove(each.id);
      }
    },

    async runShellCommand({ script, args = [], stdin, allowFailure = false, signal }) {
      const { stdout, stderr, exitCode } = await space
        .exec(["/bin/sh", "-c", script, "sh", ...args], {
          encoding: "base64",
          ...(stdin === undefined ? {} : { stdinBase64: Buffer.from(stdin).toString("base64") }),
          ...(signal ? { signal } : {}),
        })
        .wait();
      const result = {
        stdout: Buffer.from(stdout, "base64"),
        stderr: Buffer.from(stderr, "base64"),
        code: exitCode,
      };
      if (exitCode === 0 || allowFailure) return result;
      throw new Error(`The sandbox's command ended with code ${exitCode}: ${result.stderr}`);
    },

    createFsBridge: (made) =>
      createFsBridge(space, made.sandbox.workspaceDir, cfg.workspaceAccess !== "ro"),
  };
}

function withoutOwn(env: Record<string, string>): Record<string, string> {
  const own: Record<string, string | undefined> = OWN_ENV;
  const isOwn = (name: string, value: string) =>
    own[name] !== undefined && value.endsWith(own[name]);
  return Object.fromEntries(Object.entries(env).filter((each) => !isOwn(...each)));
}
