import type { CommandSpec } from "./spec.js";

const place = { completes: "place" as const };

export const fileCommands: CommandSpec[] = [
  {
    name: "cp",
    group: "Files",
    about: "copy files and folders between here and a space",
    arguments: [
      { name: "<from>", about: "a local path, NAME:PATH, or - for stdin", ...place },
      { name: "<to>", about: "a local path, NAME:PATH, or - for stdout", ...place },
    ],
    options: [
      { flags: "--resume", about: "leave out files that are there already with the same size" },
      { flags: "-q, --quiet", about: "no progress bar" },
    ],
    details:
      "PATH is below /workspace. As with `cp -r`, a folder copied to one that exists goes inside it; `FOLDER/.` copies what " +
      "is in it. A folder with - is a tar archive. Folders go through the `tar` program of this machine.",
    examples: [
      "clawdspace cp ./src dev:/app",
      "clawdspace cp dev:/app/dist .",
      "clawdspace cp dev:/app - | tar t",
      "echo hi | clawdspace cp - dev:/hi.txt",
    ],
    load: () => import("./commands/cp.js"),
  },
  {
    name: "ls",
    group: "Files",
    about: "list a folder of a space",
    arguments: [{ name: "<place>", about: "NAME or NAME:PATH", ...place }],
    options: [{ flags: "-l, --long", about: "with permissions, size and time" }],
    load: () => import("./commands/ls.js"),
  },
  {
    name: "cat",
    group: "Files",
    about: "print a file of a space",
    arguments: [{ name: "<place...>", about: "NAME:PATH", ...place }],
    load: () => import("./commands/cat.js"),
  },
  {
    name: "put",
    group: "Files",
    about: "write stdin, or a local file, into a file of a space",
    arguments: [
      { name: "<place>", about: "NAME:PATH", ...place },
      { name: "[file]", about: "a local file (default: stdin)", completes: "file" },
    ],
    options: [
      { flags: "--mode <mode>", about: 'permissions, such as "755"' },
      { flags: "--append", about: "add to its end" },
    ],
    load: () => import("./commands/put.js"),
  },
];
