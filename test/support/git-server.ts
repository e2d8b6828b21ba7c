import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A real git server by HTTPS: git's own http-backend behind basic auth, with a certificate of a CA of its own. */
export interface GitServer {
  /** Of a repository by its name, without credentials. */
  url(repository: string): string;
  /** Runs git in a bare repository of the server. */
  git(repository: string, ...args: string[]): string;
  /** Makes a bare repository with one commit on main, which holds README.md and these. */
  create(repository: string, files?: Record<string, string>): void;
  /** Keeps content as Git LFS does; returns the pointer that stands for it in a repository. */
  keepLarge(content: string): string;
  /** The CA's certificate, as PEM. */
  ca: string;
  /** What the requests so far brought as credentials. */
  seen: string[];
  close(): Promise<void>;
}

/** Serves at an address of this machine; `user` and `token` are what it takes. */
export async function startGitServer(
  address: string,
  user: string,
  token: string,
): Promise<GitServer> {
  const folder = mkdtempSync(join(tmpdir(), "clawdspace-git-server-"));
  const certificate = makeCertificate(folder, address);
  const wanted = `Basic ${Buffer.from(`${user}:${token}`).toString("base64")}`;
  const seen: string[] = [];
  const large = new Map<string, string>();
  const server = createServer(certificate, (request, response) => {
    const { authorization } = request.headers;
    if (authorization) seen.push(authorization);
    if (authorization !== wanted) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
      return;
    }
    if (request.url?.includes("/info/lfs/")) {
      void serveLarge(large, request, response);
      return;
    }
    serve(folder, user, request, response);
  });
  server.listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("no address");
  const git = (repository: string, ...args: string[]) =>
    execFileSync("git", ["-C", join(folder, repository), ...IDENTITY, ...args], {
      stdio: "pipe",
    }).toString();
  return {
    url: (repository) => `https://${address}:${bound.port}/${repository}`,
    git,
    create(repository, files = {}) {
      const bare = join(folder, repository);
      execFileSync("git", ["init", "-q", "--bare", "-b", "main", bare]);
      git(repository, "config", "http.receivepack", "true");
      const entries = Object.entries({ "README.md": "hello\n", ...files }).map(([name, input]) => {
        const blob = execFileSync("git", ["-C", bare, "hash-object", "-w", "--stdin"], { input });
        return `100644 blob ${blob.toString().trim()}\t${name}\n`;
      });
      const tree = execFileSync("git", ["-C", bare, "mktree"], { input: entries.join("") });
      const commit = git(repository, "commit-tree", tree.toString().trim(), "-m", "first");
      git(repository, "update-ref", "refs/heads/main", commit.trim());
    },
    keepLarge(content) {
      const oid = createHash("sha256").update(content).digest("hex");
      large.set(oid, content);
      const size = Buffer.byteLength(content);
      return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
    },
    ca: readFileSync(join(folder, "ca.pem"), "utf8"),
    seen,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const IDENTITY = ["-c", "user.name=Server", "-c", "user.email=server@example.com"];

function makeCertificate(folder: string, address: string): { key: Buffer; cert: Buffer } {
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, ..."-subj /CN=ca -days 2 -keyout ca.key -out ca.pem".split(" "));
  openssl("req", ...key, ..."-subj /CN=git -keyout server.key -out server.csr".split(" "));
  execFileSync("sh", ["-c", `printf 'subjectAltName=IP:%s' "$1" > server.ext`, "sh", address], {
    cwd: folder,
  });
  openssl(
    ..."x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2".split(" "),
    ..."-extfile server.ext -out server.pem".split(" "),
  );
  return {
    key: readFileSync(join(folder, "server.key")),
    cert: readFileSync(join(folder, "server.pem")),
  };
}

/** Hands a request to git's http-backend, as a CGI program. */
function serve(root: string, user: string, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", "https://server");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      CONTENT_LENGTH: request.headers["content-length"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: `${request.headers["git-protocol"] ?? ""}`,
      REMOTE_USER: user,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  request.pipe(backend.stdin);
  backend.stdin.on("error", () => {});
  let head = Buffer.alloc(0);
  backend.stdout.on("data", (data: Buffer) => {
    if (response.headersSent) {
      response.write(data);
      return;
    }
    head = Buffer.concat([head, data]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const lines = head.subarray(0, end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const { status = "200", ...rest } = headers;
    response.writeHead(Number(status.split(" ")[0]), rest);
    response.write(head.subarray(end + 4));
  });
  backend.on("close", () => response.end());
}

/** Git LFS's own protocol, as far as a clone needs it: where each object is, and the object. */
async function serveLarge(
  large: Map<string, string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = `https://${request.headers.host}${request.url}`;
  if (!url.endsWith("/objects/batch")) {
    response.end(large.get(url.slice(url.lastIndexOf("/") + 1)));
    return;
  }
  const asked = JSON.parse(await text(request)) as { objects: { oid: string; size: number }[] };
  const objects = asked.objects.map((object) => ({
    ...object,
    authenticated: true,
    actions: {
      download: {
        href: url.replace(/batch$/, object.oid),
        header: { authorization: request.headers.authorization },
      },
    },
  }));
  response.setHeader("content-type", "application/vnd.git-lfs+json");
  response.end(JSON.stringify({ transfer: "basic", objects }));
}
