import type { CommandSpec } from "./spec.js";

export const machineCommands: CommandSpec[] = [
  {
    name: "up",
    group: "This machine",
    about: "set up what is missing and run the daemon",
    options: [{ flags: "-d, --detach", about: "in the background" }],
    details:
      "As `npm start` in a clone: Docker Engine and the sandbox image are installed and built where they are missing, an " +
      "API key is made and shown once. Data goes to ~/.local/share/clawdspace, or CLAWDSPACE_DATA_DIR.",
    load: () => import("./commands/up.js"),
  },
  {
    name: "down",
    group: "This machine",
    about: "end the daemon that runs here; spaces go on",
    load: () => import("./commands/down.js"),
  },
  {
    name: "service install",
    group: "This machine",
    about: "run the daemon as a systemd service",
    options: [
      { flags: "--user", about: "for this user only, as this user" },
      { flags: "--print", about: "only print the unit" },
    ],
    load: () => import("./commands/service-install.js"),
  },
  {
    name: "service uninstall",
    group: "This machine",
    about: "end the service and remove its unit",
    options: [{ flags: "--user", about: "this user's" }],
    load: () => import("./commands/service-uninstall.js"),
  },
  {
    name: "uninstall",
    group: "This machine",
    about: "remove the spaces, their network and rules, and the key",
    options: [
      { flags: "--volumes", about: "the spaces' files too" },
      { flags: "-f, --force", about: "don't ask" },
    ],
    load: () => import("./commands/uninstall.js"),
  },
  {
    name: "doctor",
    group: "This machine",
    about: "look for what is wrong, and say how to mend it",
    load: () => import("./commands/doctor.js"),
  },
  {
    name: "config",
    group: "This machine",
    about: "show which server is asked, with which key, and why",
    load: () => import("./commands/config.js"),
  },
  {
    name: "config add",
    group: "This machine",
    about: "keep a server as a profile; --key-stdin keeps its key too",
    arguments: [
      { name: "<profile>", about: "its name" },
      { name: "<url>", about: "its address" },
    ],
    load: () => import("./commands/config-add.js"),
  },
  {
    name: "config use",
    group: "This machine",
    about: "ask this profile's server from now on",
    arguments: [{ name: "<profile>", about: "its name", completes: "server" }],
    load: () => import("./commands/config-use.js"),
  },
  {
    name: "config set-key",
    group: "This machine",
    about: "keep the key that is piped in",
    arguments: [{ name: "[profile]", about: "for which one (default: the current)" }],
    load: () => import("./commands/config-set-key.js"),
  },
  {
    name: "config remove",
    group: "This machine",
    about: "forget a profile",
    arguments: [{ name: "<profile>", about: "its name", completes: "server" }],
    load: () => import("./commands/config-remove.js"),
  },
  {
    name: "open",
    group: "This machine",
    aliases: ["dashboard"],
    about: "open the dashboard in a browser",
    load: () => import("./commands/open.js"),
  },
  {
    name: "completion",
    group: "This machine",
    about: "print what teaches a shell to complete commands and names",
    arguments: [{ name: "<shell>", about: "bash, zsh or fish" }],
    examples: ["source <(clawdspace completion bash)"],
    load: () => import("./commands/completion.js"),
  },
  {
    name: "version",
    group: "This machine",
    about: "print the versions of this program and of the server",
    load: () => import("./commands/version.js"),
  },
  {
    name: "__complete",
    group: "",
    about: "the shell's question while completing",
    arguments: [{ name: "[words...]", about: "" }],
    passThrough: true,
    hidden: true,
    load: () => import("./commands/complete.js"),
  },
];
