import { ClawdspaceError } from "@clawdspace/client";

export interface Upload {
  /** Its path below the folder. */
  name: string;
  data: File;
}

/** Sends files in one request. By XMLHttpRequest, the one way in which browsers tell how much has been sent. */
export function upload(
  space: string,
  folder: string,
  files: Upload[],
  onProgress: (share: number) => void,
): Promise<void> {
  const form = new FormData();
  for (const { name, data } of files) form.append("file", data, name);
  const request = new XMLHttpRequest();
  const query = `path=${encodeURIComponent(folder)}`;
  request.open("POST", `/api/spaces/${encodeURIComponent(space)}/files/upload?${query}`);
  request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
  return new Promise((resolve, reject) => {
    const fail = (message: string) => reject(new ClawdspaceError("unreachable", message));
    request.onerror = () => fail("The upload broke off. Is the daemon still there?");
    request.onload = () => {
      if (request.status < 300) return resolve();
      const { error } = parsed(request.responseText);
      fail(error ?? `The upload was answered with status ${request.status}.`);
    };
    request.send(form);
  });
}

function parsed(text: string): { error?: string } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Everything that was dropped, whole folders too, by its path. */
export async function filesOf(transfer: DataTransfer): Promise<Upload[]> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (entries.length === 0) return [...transfer.files].map((data) => ({ name: data.name, data }));
  return (await Promise.all(entries.map((entry) => walk(entry, "")))).flat();
}

async function walk(entry: FileSystemEntry, prefix: string): Promise<Upload[]> {
  const name = `${prefix}${entry.name}`;
  if (entry.isFile) {
    const data = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ name, data }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inner: FileSystemEntry[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) break;
    inner.push(...batch);
  }
  return (await Promise.all(inner.map((each) => walk(each, `${name}/`)))).flat();
}
