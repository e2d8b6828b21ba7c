import { posix, resolve } from "node:path";

export const WORKSPACE = "/workspace";

/** Where a file of the space is: in the space, and as the file API names it. */
export interface Target {
  /** Below /workspace. */
  containerPath: string;
  /** "/" is the workspace itself. */
  apiPath: string;
  relativePath: string;
}

const isInside = (root: string, path: string) => path === root || path.startsWith(`${root}/`);

/**
 * Finds what a tool of the host means. The host names files by paths of the space, of its own workspace, which stands for
 * /workspace, or relative to either. Throws for what is outside of it.
 */
export function resolveTarget(
  workspaceDir: string,
  { filePath, cwd }: { filePath: string; cwd?: string | undefined },
): Target {
  const hostRoot = resolve(workspaceDir);
  const toSpace = (path: string) => {
    if (isInside(WORKSPACE, path)) return path;
    return isInside(hostRoot, path)
      ? posix.join(WORKSPACE, path.slice(hostRoot.length))
      : undefined;
  };
  const base = toSpace(posix.resolve(cwd ?? hostRoot)) ?? WORKSPACE;
  const wanted = filePath.trim();
  const containerPath = toSpace(posix.resolve(base, wanted));
  if (containerPath === undefined) {
    throw new Error(
      `"${filePath}" is outside the sandbox's ${WORKSPACE}. Use a path below it, or run a command for files elsewhere in the sandbox.`,
    );
  }
  const relativePath = posix.relative(WORKSPACE, containerPath);
  return { containerPath, apiPath: `/${relativePath}`, relativePath };
}
