import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { docker } from "./daemon.js";

const BUILD = `set -e
root=/tmp/root
mkdir -p $root/bin $root/etc $root/proc $root/sys $root/dev $root/tmp
chmod 1777 $root/tmp
for tool in dash cat ls id sleep env touch mkdir stat; do
  file=/bin/$tool
  cp -L "$file" $root/bin/
  ldd "$file" | grep -o '/[^ ]*'
done | sort -u | while read -r lib; do mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; done
ln -s dash $root/bin/sh
[ -z "$PASSWD" ] || printf 'root:x:0:0:root:/root:/bin/sh' > $root/etc/passwd
[ -z "$PASSWD" ] || printf 'root:x:0:\\n' > $root/etc/group
[ -z "$WORKSPACE" ] || mkdir $root/workspace
tar -c -C $root --owner=0 --group=0 .`;

/**
 * Makes an image that has nothing a space expects, from a few programs of the sandbox image: no user but root, no bash,
 * no git. `workspace` gives it a /workspace that root owns, `passwd` the files of accounts.
 */
export async function makeForeignImage(
  ref: string,
  { workspace, passwd }: { workspace: boolean; passwd: boolean },
): Promise<void> {
  const container = await docker.createContainer({
    Image: "clawdspace:latest",
    Entrypoint: ["/bin/sh", "-c", BUILD],
    Env: [`PASSWD=${passwd ? 1 : ""}`, `WORKSPACE=${workspace ? 1 : ""}`],
    User: "0:0",
    NetworkDisabled: true,
  });
  try {
    const output = await container.attach({ stream: true, stdout: true, stderr: true });
    const archive = new PassThrough();
    const complaints = new PassThrough();
    container.modem.demuxStream(output, archive, complaints);
    output.once("end", () => {
      archive.end();
      complaints.end();
    });
    await container.start();
    const [repo, tag = "latest"] = ref.split(":");
    const imported = await docker.importImage(archive, { repo, tag });
    const answer = await text(imported);
    if (!/sha256:/.test(answer)) throw new Error(`${answer}\n${await text(complaints)}`);
  } finally {
    await container.remove({ force: true });
  }
}

export async function removeImage(ref: string): Promise<void> {
  await docker.getImage(ref).remove({ force: true });
}
