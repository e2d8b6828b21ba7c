import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCESS } from "../../packages/api/src/http/access.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { SpaceFilesClient } from "../support/files.js";
import { RACED, type RacedRequest } from "../support/raced-routes.js";

/** Every request of every route, again and again, one of each route after another. */
function* takeTurns(below: boolean): Generator<[route: string, request: RacedRequest]> {
  for (let n = 0; ; ) {
    const rounds = Object.entries(RACED).map(([route, raced]) => {
      n++;
      return [route, [...raced.requests(n), ...((below && raced.below?.(n)) || [])]] as const;
    });
    const longest = Math.max(...rounds.map(([, requests]) => requests.length));
    for (let index = 0; index < longest; index++) {
      for (const [route, requests] of rounds) {
        const request = requests[index];
        if (request) yield [route, request];
      }
    }
  }
}

/** What is outside and nowhere inside: contents, names, sizes, owners. */
const OUTSIDE = /OUTSIDE|root:x:|"shadow"|"proc"|"size":7777|"uid":0/;
const SNAPSHOT =
  "find /tmp /home /var/tmp /run -mount -path /tmp/elsewhere -prune -o ! -name TICK -printf '%p %y %m %s %U %l %n\\n' 2>/dev/null | sort; find /tmp/outside -type f ! -name TICK -exec sha256sum {} + | sort";

test("every route of a space that takes a path is raced", async () => {
  const daemon = await startDaemon();
  try {
    const { body } = await daemon.json("GET", "/api/openapi.json");
    const isPath = (name: string) =>
      /^(paths?|from|to|dest|cwd|.*Path|.*Dest|.*Folder|.*File)(Base64)?$/.test(name);
    const prefix = "/api/spaces/{name}";
    for (const [path, operations] of Object.entries<Record<string, unknown>>(body.paths)) {
      if (!path.startsWith(prefix)) continue;
      for (const [method, operation] of Object.entries(operations)) {
        const route = `${method.toUpperCase()} ${path.slice(prefix.length)}`;
        // Where output is followed from is an offset.
        const ours = (name: string) => isPath(name) && !route.endsWith("/output");
        const found = [...namesIn(operation, body.components)].filter(ours).sort();
        expect([route, found]).toEqual([route, [...(RACED[route]?.paths ?? [])].sort()]);
      }
    }
    // None is raced that is not there, and what is hidden from the document takes none.
    const known = new Set(
      Object.keys(ACCESS).map((route) => route.replace("/api/spaces/:name", "")),
    );
    expect(Object.keys(RACED).filter((route) => !known.has(route))).toEqual([]);
  } finally {
    await daemon.stop();
  }
});

/** The names of an operation's query parameters and of its body's fields. */
function namesIn(
  operation: unknown,
  components: { schemas: Record<string, unknown> },
): Set<string> {
  const names = new Set<string>();
  const walk = (schema: unknown) => {
    if (typeof schema !== "object" || schema === null) return;
    const { $ref, properties, ...rest } = schema as { $ref?: string; properties?: object };
    if ($ref) walk(components.schemas[$ref.split("/").at(-1) ?? ""]);
    for (const [name, property] of Object.entries(properties ?? {})) {
      names.add(name);
      walk(property);
    }
    for (const each of Object.values(rest)) walk(each);
  };
  const { parameters, requestBody } = operation as {
    parameters?: { name: string; in: string }[];
    requestBody?: unknown;
  };
  for (const { name, in: where } of parameters ?? []) if (where === "query") names.add(name);
  walk(requestBody);
  return names;
}

describe.each([
  ["the guest agent", "on", 12_000],
  ["execs of the engine", "off", 12_000],
])("a folder and a file that are swapped for symlinks out, by %s", (_what, guest, forMs) => {
  let daemon: Daemon;
  let files: SpaceFilesClient;
  let before: string;

  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    files = new SpaceFilesClient(daemon, await daemon.space("race"));
    const source = await readFile(join(import.meta.dirname, "../support/swapper.c"));
    await files.put("/swapper.c", source);
    await files.inside(
      [
        "set -e; cc -O1 -o swapper swapper.c",
        "git config --global user.email a@example.com; git config --global user.name A; git config --global init.defaultBranch main",
        "git config --global url./workspace/bare.git.insteadOf https://example.com/bare.git",
        "mkdir -p race/spot race/git moved plain/d kept /tmp/outside/sub /tmp/elsewhere; git init -q --bare bare.git",
        "git clone -q bare.git race/git/repo 2>/dev/null; cd race/git/repo; echo INSIDE >file; git add .; git commit -qm INSIDE; git push -q origin HEAD; cd /workspace",
        "git clone -q bare.git /tmp/elsewhere/repo",
        "echo INSIDE >kept/f; yes OUTSIDE | head -c 7777 >/tmp/outside/f; for name in passwd hostname sub/f OUTSIDE-ONLY; do cp /tmp/outside/f /tmp/outside/$name; done",
        "chmod 640 /tmp/outside/f; chmod 750 /tmp/outside /tmp/outside/sub; touch /tmp/outside/TICK",
      ].join("\n"),
    );
    before = await files.inside(SNAPSHOT);
    await files.inside("cd race && exec ../swapper", { detach: true });
  });
  afterAll(async () => await daemon.stop());

  test(`nothing outside is read or changed, whichever route`, async () => {
    const counts = new Map<string, { done: number; refused: number }>();
    const sum = (key: "done" | "refused") =>
      [...counts.values()].reduce((total, each) => total + each[key], 0);
    const leaks: string[] = [];
    const send = async (route: string, [rest, body, headers]: RacedRequest) => {
      const [method = ""] = route.split(" ");
      const abort = new AbortController();
      const watch = route === "GET /files/watch";
      const timer = watch ? setTimeout(() => abort.abort(), 300) : undefined;
      let text = "";
      let status = 0;
      try {
        const raw = body instanceof FormData || Buffer.isBuffer(body);
        const answer = await fetch(`${daemon.url}${files.url(rest)}`, {
          method,
          signal: abort.signal,
          headers: {
            authorization: `Bearer ${daemon.key}`,
            ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: raw ? (body as FormData) : JSON.stringify(body) }),
        });
        status = answer.status;
        for await (const piece of answer.body ?? []) text += Buffer.from(piece).toString("latin1");
      } catch (error) {
        if (!abort.signal.aborted && status !== 200) throw error;
      }
      clearTimeout(timer);
      const count = counts.get(route) ?? { done: 0, refused: 0 };
      counts.set(route, count);
      if (status >= 200 && status < 300) count.done++;
      else count.refused++;
      if (status >= 500) leaks.push(`${route} ${rest} ${JSON.stringify(body)}: ${status} ${text}`);
      if (RACED[route]?.byProgram) return;
      if (OUTSIDE.test(text))
        leaks.push(`${route} ${rest} ${JSON.stringify(body)}: ${text.slice(0, 600)}`);
    };
    const until = Date.now() + forMs;
    // The routes take turns, so that each has had its own also where all are slow.
    const turns = takeTurns(guest === "on");
    const worker = async () => {
      for (const [route, request] of turns) {
        await send(route, request);
        const all = counts.size === Object.keys(RACED).length;
        if (Date.now() > until && all && sum("done") > 20 && sum("refused") > 20) return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    expect([...counts.keys()].sort()).toEqual(Object.keys(RACED).sort());
    expect(leaks.slice(0, 5)).toEqual([]);
    expect(await files.inside(SNAPSHOT)).toBe(before);
  });
});
