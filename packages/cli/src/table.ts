import type { CommandSpec } from "./spec.js";
import { fileCommands } from "./table-files.js";
import { machineCommands } from "./table-machine.js";
import { serverCommands } from "./table-servers.js";

const name = { name: "<name>", about: "the space", completes: "space" as const };

const spaceCommands: CommandSpec[] = [
  {
    name: "create",
    group: "Spaces",
    about: "make a space",
    arguments: [{ name: "<name>", about: "letters, digits, '-' and '_'" }],
    options: [
      { flags: "-t, --template <template>", about: "what it is made of", completes: "template" },
      { flags: "-m, --memory <size>", about: 'memory limit, such as "2g" or "512m"' },
      { flags: "-c, --cpus <n>", about: "how many CPUs it may use" },
      { flags: "--gpu", about: "give it a GPU, on a server that has one" },
      { flags: "--node <node>", about: 'on this machine of the fleet, or "auto" for the best one' },
      { flags: "--image <image>", about: "another image than the template's" },
      { flags: "-e, --env <K=V>", about: "a variable of its environment", repeats: true },
      { flags: "--env-file <file>", about: "a local file of variables to write into the space" },
      { flags: "-l, --label <K=V>", about: "a label", repeats: true },
      { flags: "--description <text>", about: "what it is for" },
      { flags: "--repo <url>", about: "clone this repository into it" },
      { flags: "--branch <branch>", about: "the branch to clone" },
      { flags: "--dest <folder>", about: "the folder below /workspace to clone into" },
      { flags: "--depth <n>", about: "clone only so many commits of one branch" },
      { flags: "--submodules", about: "clone its submodules too" },
      { flags: "--keep-on-error", about: "keep the space where its clone or set-up fails" },
      { flags: "--no-lfs", about: "leave out the files kept in Git LFS" },
      {
        flags: "--git-token-stdin",
        about: "read a token from stdin that is used for the clone alone, and kept nowhere",
      },
      {
        flags: "--github-token-stdin",
        about: "read a token from stdin that the space keeps, as GITHUB_TOKEN",
      },
      {
        flags: "--github-token <token>",
        about: "the token itself; other users of this machine can see it, so prefer the one above",
      },
      { flags: "--no-pull", about: "refuse an image that the node doesn't have" },
    ],
    examples: ["clawdspace create dev", "clawdspace create api --repo https://github.com/o/r"],
    load: () => import("./commands/create.js"),
  },
  {
    name: "list",
    group: "Spaces",
    about: "list the spaces",
    options: [
      { flags: "-a, --all", about: "of every known server" },
      { flags: "--node <node>", about: 'of this machine of the fleet, or of "all"' },
    ],
    load: () => import("./commands/list.js"),
  },
  {
    name: "exec",
    group: "Spaces",
    about: "run a command in a space; its exit code is this command's",
    arguments: [name, { name: "[command...]", about: "words for the space's shell, or argv" }],
    options: [
      { flags: "-e, --env <K=V>", about: "a variable for this command", repeats: true },
      { flags: "-w, --workdir <dir>", about: "absolute, or below /workspace" },
      { flags: "-u, --user <user>", about: "sandbox, or root where the template allows it" },
      { flags: "--timeout <duration>", about: 'such as "30s"; then it is killed (exit code 124)' },
      { flags: "-d, --detach", about: "start it in the background and print its id" },
      { flags: "--tag <tag>", about: "with -d: a name to find it by" },
      { flags: "-n, --no-stdin", about: "read nothing from stdin" },
    ],
    passThrough: true,
    details:
      "The words after NAME are one command line for the space's shell, as with ssh. After `--` they are a program and its " +
      "arguments, taken exactly as they are. Options may stand before NAME, or between NAME and `--`. What is piped in " +
      "is the command's stdin.",
    examples: [
      "clawdspace exec dev 'ls | wc -l'",
      'clawdspace exec dev -w repo -e CI=1 -- npm test -- --grep "a b"',
      "tar c src | clawdspace exec dev -- tar x",
    ],
    load: () => import("./commands/exec.js"),
  },
  {
    name: "shell",
    group: "Spaces",
    about: "open a terminal in a space",
    arguments: [name],
    options: [
      { flags: "-s, --session <name>", about: "a terminal that outlives this command" },
      { flags: "--command <line>", about: "run this in place of the login shell" },
    ],
    details:
      "At the start of a line, `~.` leaves the terminal (a session goes on) and `~~` types a `~`. Its program's exit code " +
      "is this command's. The same --session attaches again, also from elsewhere.",
    load: () => import("./commands/shell.js"),
  },
  {
    name: "start",
    group: "Spaces",
    about: "wake spaces",
    arguments: [{ ...name, name: "<name...>" }],
    load: () => import("./commands/start.js"),
  },
  {
    name: "stop",
    group: "Spaces",
    about: "put spaces to sleep; their memory is kept",
    arguments: [{ ...name, name: "<name...>" }],
    load: () => import("./commands/stop.js"),
  },
  {
    name: "move",
    group: "Spaces",
    about: "move a space with its files to another machine of the fleet; what runs in it ends",
    arguments: [
      name,
      { name: "[node]", about: "as `clawdspace nodes` names it", completes: "server" },
    ],
    options: [
      { flags: "--abandon", about: "give up a move whose other machine never came back to end it" },
    ],
    details:
      "With --abandon the copy on the machine that the space was to leave is the space again. If the other one comes back after " +
      "all, both have a space of that name.",
    examples: ["clawdspace move dev gpubox", "clawdspace move dev --abandon"],
    load: () => import("./commands/move.js"),
  },
  {
    name: "destroy",
    group: "Spaces",
    aliases: ["rm"],
    about: "remove spaces with their files",
    arguments: [{ ...name, name: "<name...>" }],
    options: [
      { flags: "-f, --force", about: "don't ask" },
      { flags: "--keep-volume", about: "keep /workspace for the next space of this name" },
    ],
    load: () => import("./commands/destroy.js"),
  },
  {
    name: "git push",
    group: "Spaces",
    about: "push a branch with a token that is written nowhere",
    arguments: [name],
    options: [
      { flags: "--token-stdin", about: "read the token from the first line of stdin" },
      { flags: "--repo <path>", about: 'below /workspace (default "/repo")' },
      { flags: "--remote <remote>", about: 'default "origin"' },
      { flags: "--branch <branch>", about: 'default "main"' },
    ],
    examples: ["gh auth token | clawdspace git push dev --token-stdin --branch fix"],
    load: () => import("./commands/git-push.js"),
  },
  {
    name: "ps",
    group: "Processes",
    about: "list the processes of a space",
    arguments: [name],
    options: [
      { flags: "-a, --all", about: "those too that something in the space started" },
      { flags: "--tag <tag>", about: "only those with this tag" },
    ],
    load: () => import("./commands/ps.js"),
  },
  {
    name: "logs",
    group: "Processes",
    about: "print a process's output",
    arguments: [name, { name: "<process>", about: "its id, the id's beginning, or its tag" }],
    options: [
      { flags: "-f, --follow", about: "go on until it has ended" },
      { flags: "--from <byte>", about: "begin at this byte" },
    ],
    load: () => import("./commands/logs.js"),
  },
  {
    name: "kill",
    group: "Processes",
    about: "send a process a signal",
    arguments: [name, { name: "<process>", about: "its id, the id's beginning, or its tag" }],
    options: [
      { flags: "-s, --signal <signal>", about: "default TERM" },
      { flags: "-a, --all", about: "to everything that it started" },
    ],
    load: () => import("./commands/kill.js"),
  },
  {
    name: "stats",
    group: "Processes",
    about: "what spaces use, as a live table on a terminal",
    arguments: [
      { name: "[name...]", about: "the spaces (default: all that run)", completes: "space" },
    ],
    options: [{ flags: "--no-stream", about: "once" }],
    load: () => import("./commands/stats.js"),
  },
  {
    name: "top",
    group: "Processes",
    about: "a space's busiest processes, live on a terminal",
    arguments: [name],
    options: [{ flags: "--no-stream", about: "once" }],
    load: () => import("./commands/top.js"),
  },
];

/** Every command there is, in the order of the help. */
export const COMMANDS: CommandSpec[] = [
  ...spaceCommands,
  ...fileCommands,
  ...serverCommands,
  ...machineCommands,
];
