import { useEffect, useState } from "react";

const TYPES: Record<string, string> = {
  svg: "image/svg+xml",
  jpg: "image/jpeg",
  ico: "image/x-icon",
};

/** An image, shown from memory: as an image it runs no scripts, whatever is in it. */
export function ImagePreview({ name, data }: { name: string; data: Uint8Array<ArrayBuffer> }) {
  const [url, setUrl] = useState<string>();
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const extension = name.split(".").at(-1)?.toLowerCase() ?? "";
    const type = TYPES[extension] ?? `image/${extension}`;
    const made = URL.createObjectURL(new Blob([data], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [name, data]);
  if (failed) return <p className="pane dim">This isn't an image that the browser can show.</p>;
  return (
    <div className="image-preview">
      {url && <img src={url} alt={name} onError={() => setFailed(true)} />}
    </div>
  );
}
