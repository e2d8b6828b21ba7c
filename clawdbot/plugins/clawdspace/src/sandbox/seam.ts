/** OpenClaw's seam for sandbox backends, as far as this plugin uses it; the host ships no declarations for it. */
export interface BackendRequest {
  /** What shares one sandbox: "agent:main", a session's key, or "shared". */
  scopeKey: string;
  /** Sandboxes that the host has on its list for this scope, from before. */
  registeredRuntimeIds?: string[];
  /** The workspace as the host knows it; tools name files by paths below it. */
  workspaceDir: string;
  /** Copies of the skills that the agent may use. */
  skillsWorkspaceDir?: string;
  cfg: { workspaceAccess?: "none" | "ro" | "rw"; docker?: { env?: Record<string, string> } };
}

export interface ExecSpec {
  argv: string[];
  env: Record<string, string>;
  stdinMode: "pipe-open" | "pipe-closed";
  finalizeToken?: unknown;
}

export interface ShellResult {
  stdout: Buffer;
  stderr: Buffer;
  code: number;
}

export interface Sandbox {
  id: string;
  runtimeId: string;
  runtimeLabel: string;
  workdir: string;
  env: Record<string, string>;
  configLabel: string;
  configLabelKind: string;
  workdirValidation: "backend";
  validateWorkdir(workdir: string): Promise<string | null>;
  workdirRoots: string[];
  buildExecSpec(wanted: {
    command: string;
    workdir?: string;
    env: Record<string, string>;
    usePty: boolean;
  }): Promise<ExecSpec>;
  finalizeExec(ended: { token?: unknown }): Promise<void>;
  runShellCommand(wanted: {
    script: string;
    args?: string[];
    stdin?: Buffer | string;
    allowFailure?: boolean;
    signal?: AbortSignal;
  }): Promise<ShellResult>;
  createFsBridge(made: { sandbox: { workspaceDir: string } }): FsBridge;
}

export interface Place {
  filePath: string;
  cwd?: string | undefined;
  signal?: AbortSignal | undefined;
}
export interface NewContent extends Place {
  data: Buffer | string;
  encoding?: BufferEncoding;
}

export interface FsBridge {
  pathMappings: { hostRoot: string; containerRoot: string }[];
  resolvePath(place: Place): { relativePath: string; containerPath: string };
  readFile(place: Place & { maxBytes?: number }): Promise<Buffer>;
  readDirectory(place: Place): Promise<{ name: string; isDirectory: boolean }[]>;
  writeFile(content: NewContent): Promise<void>;
  createFileExclusive(content: NewContent): Promise<"created" | "exists">;
  copyFile(paths: {
    sourcePath: string;
    destinationPath: string;
    cwd?: string | undefined;
  }): Promise<void>;
  mkdirp(place: Place): Promise<void>;
  remove(place: Place & { recursive?: boolean; force?: boolean }): Promise<void>;
  rename(paths: { from: string; to: string; cwd?: string | undefined }): Promise<void>;
  stat(
    place: Place,
  ): Promise<{ type: "file" | "directory" | "other"; size: number; mtimeMs: number } | null>;
}

interface Listed {
  entry: { containerName: string };
}

export interface Backend {
  factory(request: BackendRequest): Promise<Sandbox>;
  resolveWorkdir(): string;
  manager: {
    describeRuntime(listed: Listed): Promise<{
      running: boolean;
      actualConfigLabel?: string;
      configLabelMatch: boolean;
    }>;
    removeRuntime(listed: Listed): Promise<void>;
  };
}

export interface SandboxSdk {
  registerSandboxBackend(id: string, backend: Backend): () => void;
}
