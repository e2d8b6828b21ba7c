import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { at, SpaceFilesClient } from "../support/files.js";

const TYPES = { tar: "application/x-tar", "tar.gz": "application/gzip", zip: "application/zip" };
const SHAPE = "find . -printf '%P|%y|%m|%l\\n' | sort; find . -type f -exec sha256sum {} + | sort";

describe.each([
  ["the guest agent", "on"],
  ["the engine's commands", "off"],
])("archives by %s", (_, guest) => {
  let daemon: Daemon;
  let files: SpaceFilesClient;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "files-archives-"));
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    files = new SpaceFilesClient(daemon, await daemon.space("archives"));
    await files.inside(
      "export LC_ALL=C; mkdir -p src/sub/deep src/closed && cd src && echo one > a.txt && head -c 700000 /dev/urandom > sub/big && : > empty && " +
        "echo x > sub/deep/run.sh && chmod 755 sub/deep/run.sh && chmod 640 a.txt && echo q > closed/f && chmod 555 closed && " +
        "ln -s a.txt l && ln -s /etc out && ln -s nowhere dangling && ln a.txt hard && " +
        "printf x > \"$(printf 'odd\\377 new\\nline')\" && printf y > 'é日本 -rf' && mkfifo pipe",
    );
  });
  afterAll(async () => {
    await daemon.stop();
    await rm(folder, { recursive: true });
  });

  const download = async (path: string, format: string) => {
    const answer = await files.send("GET", `/files/archive?${at(path)}&format=${format}`);
    expect(answer.status).toBe(200);
    return { answer, archive: Buffer.from(await answer.arrayBuffer()) };
  };
  const upload = async (path: string, archive: Buffer, type: string) => {
    const answer = await files.send("PUT", `/files/archive?${at(path)}`, archive, {
      "content-type": type,
    });
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  };
  const tarOf = async (entries: [Parameters<ReturnType<typeof pack>["entry"]>[0], string?][]) => {
    const archive = pack();
    for (const [header, content] of entries) archive.entry(header, content ?? "");
    archive.finalize();
    return await buffer(archive as unknown as NodeJS.ReadableStream);
  };

  test.each(Object.entries(TYPES))(
    "a folder goes as %s and comes back the same",
    async (format, type) => {
      const { answer, archive } = await download("/src", format);
      expect(answer.headers.get("content-type")).toBe(type);
      expect(answer.headers.get("content-disposition")).toContain(`src.${format}`);
      const target = `back.${format}`;
      const { status, body } = await upload(`/${target}`, archive, type);
      expect(status, JSON.stringify(body)).toBe(200);
      const there = await files.inside(`cd src && { ${SHAPE}; } | grep -av pipe`);
      const back = await files.inside(`cd ${target} && { ${SHAPE}; }`);
      // A zip tells names as UTF-8 only.
      expect(back).toBe(format === "zip" ? there.replaceAll("odd\ufffd", "odd%FF") : there);
      expect(await files.inside(`stat -c %u:%g ${target}/a.txt ${target}/l`)).toBe(
        "1001:1001\n1001:1001\n",
      );
      await files.inside(`chmod -R u+w ${target} && rm -rf ${target}`);
    },
  );

  test("what other programs pack is unpacked, what we pack they unpack", async () => {
    const { archive } = await download("/src", "tar");
    execFileSync("tar", ["-xf", "-", "-C", folder], { input: archive });
    expect(execFileSync("cat", [join(folder, "a.txt")]).toString()).toBe("one\n");
    for (const [format, flags] of [
      ["gnu", "-cf"],
      ["pax", "-cf"],
      ["gnu", "-czf"],
    ] as const) {
      const made = execFileSync("tar", [
        `--format=${format}`,
        flags,
        "-",
        "-C",
        folder,
        "sub",
        "a.txt",
        "l",
        "hard",
      ]);
      const { status, body } = await upload(
        "/other",
        made,
        flags === "-czf" ? TYPES["tar.gz"] : TYPES.tar,
      );
      expect(status, JSON.stringify(body)).toBe(200);
      expect(
        await files.inside(
          "cat other/hard; readlink other/l; stat -c %a other/sub/deep/run.sh; rm -rf other",
        ),
      ).toBe("one\na.txt\n755\n");
    }
    await writeFile(join(folder, "in.zip"), (await download("/src/sub", "zip")).archive);
    const listed = execFileSync("python3", [
      "-m",
      "zipfile",
      "-l",
      join(folder, "in.zip"),
    ]).toString();
    expect(listed).toContain("deep/run.sh");
  });

  test("entries that lead out are refused, symlinks are made but not followed", async () => {
    await files.inside("rm -rf /tmp/out && mkdir -p /tmp/out && rm -rf evil && mkdir evil");
    const hostile: [string, Awaited<ReturnType<typeof tarOf>>][] = [
      ["..", await tarOf([[{ name: "../pwned" }, "x"]])],
      ["inner ..", await tarOf([[{ name: "a/../../pwned" }, "x"]])],
      ["absolute", await tarOf([[{ name: "/tmp/out/pwned" }, "x"]])],
      [
        "through a link",
        await tarOf([
          [{ name: "up", type: "symlink", linkname: "/tmp/out" }],
          [{ name: "up/pwned" }, "x"],
        ]),
      ],
      [
        "through a relative link",
        await tarOf([
          [{ name: "rel", type: "symlink", linkname: "../../../tmp/out" }],
          [{ name: "rel/sub/pwned" }, "x"],
        ]),
      ],
      [
        "folder through a link",
        await tarOf([
          [{ name: "dl", type: "symlink", linkname: "/tmp/out" }],
          [{ name: "dl/pwned", type: "directory" }],
        ]),
      ],
      [
        "hard link out",
        await tarOf([[{ name: "hl", type: "link", linkname: "../../etc/passwd" }]]),
      ],
      [
        "hard link through a link",
        await tarOf([
          [{ name: "etc", type: "symlink", linkname: "/etc" }],
          [{ name: "hl", type: "link", linkname: "etc/passwd" }],
        ]),
      ],
    ];
    for (const [what, archive] of hostile) {
      const { status, body } = await upload("/evil/in", archive, TYPES.tar);
      expect(status, `${what}: ${JSON.stringify(body)}`).toBe(400);
    }
    expect(
      await files.inside(
        "find /tmp/out -mindepth 1; ls -d pwned evil/pwned /pwned evil/in/hl 2>/dev/null || true",
      ),
    ).toBe("");
    // A symlink is replaced by what comes under its name, not written through.
    const replaced = await tarOf([
      [{ name: "x", type: "symlink", linkname: "victim" }],
      [{ name: "x" }, "new"],
    ]);
    await files.inside("rm -rf evil/in && mkdir -p evil/in && echo old > evil/in/victim");
    expect((await upload("/evil/in", replaced, TYPES.tar)).status).toBe(200);
    expect(await files.inside("cat evil/in/victim evil/in/x")).toBe("old\nnew");
  });

  test("a zip's entries don't lead out either", async () => {
    await files.inside("rm -rf /tmp/out zevil && mkdir -p /tmp/out zevil");
    const script = (lines: string) =>
      execFileSync("python3", [
        "-c",
        `import zipfile,io,sys\nb=io.BytesIO()\nz=zipfile.ZipFile(b,'w')\n${lines}\nz.close()\nsys.stdout.buffer.write(b.getvalue())`,
      ]);
    const link = (name: string, target: string) =>
      `i=zipfile.ZipInfo('${name}')\ni.create_system=3\ni.external_attr=0o120777<<16\nz.writestr(i,'${target}')`;
    for (const archive of [
      script("z.writestr('../pwned','x')"),
      script("z.writestr('/tmp/out/pwned','x')"),
      script("z.writestr('a/../../pwned','x')"),
      script(`${link("up", "/tmp/out")}\nz.writestr('up/pwned','x')`),
    ]) {
      const { status, body } = await upload("/zevil", archive, TYPES.zip);
      expect(status, JSON.stringify(body)).toBe(400);
    }
    expect(
      await files.inside("find /tmp/out -mindepth 1; ls -d pwned /pwned 2>/dev/null || true"),
    ).toBe("");
  });

  test("devices are passed over and told of; damaged archives are refused", async () => {
    const archive = await tarOf([
      [{ name: "null", type: "character-device", devmajor: 1, devminor: 3 }],
      [{ name: "pipe", type: "fifo" }],
      [{ name: "ok" }, "fine"],
    ]);
    const { status, body } = await upload("/dev", archive, TYPES.tar);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      entries: 1,
      skipped: [{ path: "/dev/null" }, { path: "/dev/pipe" }],
    });
    expect(await files.names("/dev")).toEqual(["ok"]);
    for (const [data, type] of [
      [Buffer.alloc(4096, "x"), TYPES.tar],
      [Buffer.alloc(4096, "x"), TYPES["tar.gz"]],
      [Buffer.alloc(4096, "x"), TYPES.zip],
      [archive.subarray(0, archive.length - 1800), TYPES.tar],
    ] as const) {
      expect((await upload("/damaged", data, type)).status).toBe(400);
    }
    const wrong = await upload("/src/a.txt", archive, TYPES.tar);
    expect(wrong.status).toBe(409);
  });

  test("what the space's user can't read is left out and counted", async () => {
    await files.inside(
      "mkdir -p partly && echo a > partly/a && echo b > partly/b && chmod 0 partly/b",
    );
    const { request, answer } = files.stream("GET", `/files/archive?${at("/partly")}`);
    request.end();
    const response = await answer;
    const archive = await buffer(response);
    expect(execFileSync("tar", ["-tf", "-"], { input: archive }).toString()).toMatch(
      /^(\.\/)?a\n$/,
    );
    expect(response.trailers["x-left-out"]).toBe("1");
    await files.inside("chmod 600 partly/b");
  });
});
