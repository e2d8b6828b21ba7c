const BLOCK = 512;

/**
 * Packs small files into a tar archive (ustar). Owner and time are left zero, so that the same
 * contents give the same bytes.
 * @param {{ path: string, content: Buffer, executable: boolean }[]} files
 * @returns {Buffer}
 */
export function packTar(files) {
  const blocks = files.flatMap(({ path, content, executable }) => {
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(path, content.length, executable ? 0o755 : 0o644), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(path, size, mode) {
  const name = Buffer.from(path);
  if (name.length > 100) throw new RangeError(`The path ${path} is too long for the archive.`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value, length) => `${value.toString(8).padStart(length - 1, "0")}\0`;
  name.copy(block);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
