import { ClawdspaceError, type CreateSpaceRequest } from "@clawdspace/protocol";
import type { EnvStore } from "./env-store.js";
import type { Guests } from "./guests.js";
import type { Furnish } from "./space-service.js";

/** What a new space gets before it is handed out: its environment, its env file, its repository. */
export const furnishWith =
  (envs: EnvStore, guests: Guests): Furnish =>
  async (entry, request, { onProgress }) => {
    await envs.set(entry, request.env ?? {});
    // Connected now, so that the first command after the create is an ordinary one.
    if (entry.spec.guest) await guests.of(entry);
    const file = envFile(request);
    if (file) {
      onProgress({ type: "progress", step: "env", message: `Writing ${file.path}` });
      const guest = await guests.of(entry);
      await guest.files.writeAll(file.path.slice("/workspace/".length), file.data);
    }
  };

function envFile(request: CreateSpaceRequest): { path: string; data: Buffer } | undefined {
  const path = request.envFilePath ?? "/workspace/.env";
  if (request.envFileText !== undefined) return { path, data: Buffer.from(request.envFileText) };
  if (request.envFileBase64 !== undefined)
    return { path, data: Buffer.from(request.envFileBase64, "base64") };
  if (request.envFilePath === undefined) return undefined;
  throw new ClawdspaceError(
    "invalid_request",
    "envFilePath says where, but neither envFileText nor envFileBase64 says what.",
    {
      issues: [{ path: "envFilePath", message: "needs envFileText or envFileBase64" }],
    },
  );
}
