export interface UnitChoice {
  /** For one user's own systemd, which can confine less. */
  user: boolean;
  node: string;
  entry: string;
  config: string;
  data: string;
  /** What else the daemon is to find in its environment. */
  environment: Record<string, string>;
}

/** What a daemon that is root's may still do: its own files, iptables, mounts of sized workspaces, signals to spaces. */
const CAPABILITIES =
  "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN CAP_SYS_PTRACE";

const COMMON = [
  "NoNewPrivileges=yes",
  "LockPersonality=yes",
  "RestrictRealtime=yes",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
  "SystemCallArchitectures=native",
  "UMask=0077",
];

/**
 * A systemd unit for the daemon. It sets up no mount namespace (ProtectSystem= and such would): workspaces with a size are
 * mounted by the daemon, and the engine has to see them.
 */
export function unitOf({ user, node, entry, config, data, environment }: UnitChoice): string {
  const variables = { ...environment, CLAWDSPACE_CONFIG_DIR: config, CLAWDSPACE_DATA_DIR: data };
  const own = [
    `CapabilityBoundingSet=${CAPABILITIES}`,
    "RestrictSUIDSGID=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "KeyringMode=private",
    "SystemCallFilter=@system-service @mount",
    "SystemCallErrorNumber=EPERM",
  ];
  return [
    "[Unit]",
    "Description=Clawdspace, sandboxes for AI agents",
    ...(user ? [] : ["Wants=network-online.target", "After=network-online.target docker.service"]),
    "",
    "[Service]",
    `ExecStart=${quoted(node)} ${quoted(entry)}`,
    ...Object.entries(variables).map(
      ([name, value]) => `Environment=${quoted(`${name}=${value}`)}`,
    ),
    "Restart=on-failure",
    "RestartSec=2",
    "# Spaces are the engine's: they go on.",
    "KillMode=mixed",
    "TimeoutStopSec=20",
    "OOMScoreAdjust=-500",
    ...COMMON,
    ...(user ? [] : own),
    "",
    "[Install]",
    `WantedBy=${user ? "default.target" : "multi-user.target"}`,
    "",
  ].join("\n");
}

/** As systemd reads it: in quotes, with its own special characters doubled. */
const quoted = (text: string) =>
  `"${text.replace(/[\\"]/g, "\\$&").replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;
