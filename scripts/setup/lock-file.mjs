const SYSTEMS = /android|darwin|linux|win32|freebsd|openbsd|netbsd|sunos|aix|openharmony|wasm32/;
const PROCESSORS = /arm64|arm|x64|ia32|ppc64|riscv64|s390x|loong64|mips64el|wasm32/;

/**
 * Adds to a package-lock.json the optional packages that others in it name by an exact version and
 * that it lacks, each for the platform in its name only.
 * @param {{ packages: Record<string, any> }} lock
 * @returns {{ lock: object, added: string[] }} a new lock and the names added
 */
export function completeLock(lock) {
  const packages = { ...lock.packages };
  const added = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const platform = platformOf(name);
      if (!platform || !/^\d/.test(version) || isResolved(packages, path, name)) continue;
      packages[`node_modules/${name}`] = {
        version,
        ...(entry.dev ? { dev: true } : {}),
        optional: true,
        ...platform,
      };
      added.push(name);
    }
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1));
  return { lock: { ...lock, packages: Object.fromEntries(sorted) }, added };
}

function platformOf(name) {
  const system = name.match(SYSTEMS)?.[0];
  const processor = name.match(PROCESSORS)?.[0];
  if (!system || !processor) return undefined;
  const libc = name.includes("musl") ? "musl" : name.endsWith("gnu") ? "glibc" : undefined;
  return { os: [system], cpu: [processor], ...(libc ? { libc: [libc] } : {}) };
}

/** Looks where Node.js would: in the package's own node_modules, then in each one above it. */
function isResolved(packages, path, name) {
  const above = path.split("/node_modules/").map((_, index, parts) => {
    return parts.slice(0, parts.length - index).join("/node_modules/");
  });
  return [...above, ""].some((base) => `${base}${base && "/"}node_modules/${name}` in packages);
}
