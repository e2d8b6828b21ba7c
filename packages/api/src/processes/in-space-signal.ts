import { randomUUID } from "node:crypto";
import type { Engine } from "../engine/engine.js";
import { GuestError } from "../guest/types.js";

/**
 * Finds processes by a text in their environment, and their trees, from inside the container. It takes nothing but a
 * POSIX shell's builtins, so that it also works where nothing can be forked any more. (`read` skips the NUL bytes
 * between variables.) SIGKILL stops all of them first, so that nobody forks away from under the search. Prints how many
 * were found.
 */
const SCRIPT = `
wanted=$1 spared=$2 signal=$3 scope=$4
mark() {
  mark=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      *"$spared"*) mark=other; return;;
      *"$wanted"*) mark=ours; return;;
      *CLAWDSPACE_PROCESS_ID=*) mark=other; return;;
    esac
  done
}
scan() {
  rows= members=' ' sessions=' ' leader= first=
  for folder in /proc/[0-9]*; do
    pid=\${folder#/proc/}
    if [ "$pid" = 1 ] || [ "$pid" = $$ ]; then continue; fi
    { IFS= read -r stat <"$folder/stat"; } 2>/dev/null || continue
    set -- \${stat##*) }
    case $1 in Z|X) continue;; esac
    mark=
    { mark <"$folder/environ"; } 2>/dev/null
    rows="$rows $pid:$2:$4:$mark:$1"
    if [ "$mark" != ours ]; then continue; fi
    members="$members$pid "
    if [ "$4" != "$pid" ]; then continue; fi
    sessions="$sessions$pid "
    if [ -z "$first" ] || [ "\${20}" -lt "$first" ]; then first=\${20} leader=$pid; fi
  done
  changed=1
  while [ -n "$changed" ]; do
    changed=
    for row in $rows; do
      IFS=:
      set -- $row
      unset IFS
      case $members in *" $1 "*) continue;; esac
      case "$4$sessions" in *" $3 "*) [ -z "$4" ] && members="$members$1 " changed=1 && continue;; esac
      case $members in *" $2 "*) members="$members$1 " changed=1;; esac
    done
  done
}
count() { count=$#; }
scan
count $members
found=$count
if [ "$scope" = group ]; then
  found=0
  [ -n "$leader" ] && kill -s "$signal" -- "-$leader" 2>/dev/null && found=1
elif [ "$signal" != KILL ]; then
  [ "$found" -gt 0 ] && kill -s "$signal" $members 2>/dev/null
else
  round=0 before=-1
  while [ "$count" -gt 0 ] && [ "$count" != "$before" ] && [ $round -lt 64 ]; do
    before=$count round=$((round + 1))
    kill -s STOP $members 2>/dev/null
    scan
    count $members
    [ "$count" -gt "$found" ] && found=$count
  done
  round=0
  while [ "$count" -gt 0 ] && [ $round -lt 64 ]; do
    round=$((round + 1))
    kill -s KILL $members 2>/dev/null
    scan
    count $members
  done
fi
echo "$found"
`;

/**
 * Sends a signal from inside a container, for where its processes can't be seen from outside (a remote or rootless
 * engine). The image needs a POSIX shell.
 * @returns how many processes were found. Throws `EngineError` where the engine can't run it, `unsupported` without a shell.
 */
export async function signalInside(
  engine: Engine,
  target: { containerId: string; user: string },
  marks: { wanted: string; spared?: string },
  signal: NodeJS.Signals,
  scope: "group" | "all",
): Promise<number> {
  const exec = await engine.exec(target.containerId, {
    argv: [
      "/bin/sh",
      "-c",
      SCRIPT,
      "sh",
      marks.wanted,
      marks.spared ?? randomUUID(),
      signal.replace(/^SIG/, ""),
      scope,
    ],
    env: { PATH: "/usr/bin:/bin" },
    cwd: "/",
    user: target.user,
    stdin: false,
  });
  let said = "";
  for await (const { data } of exec.output) said = `${said}${data}`.slice(0, 1000);
  const found = /^(\d+)\s*$/.exec(said)?.[1];
  if (found !== undefined) return Number(found);
  throw new GuestError("unsupported", `Processes can't be signalled in this space. ${said}`);
}
