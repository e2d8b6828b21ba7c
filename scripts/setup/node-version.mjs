import { SetupError } from "./setup-error.mjs";

const MAJOR = 20;
const MINOR = 19;

/**
 * @param {string} version such as 20.19.0
 * @returns {string} it, if it will do
 * @throws {SetupError}
 */
export function checkNodeVersion(version = process.versions.node) {
  const [major, minor] = version.split(".").map(Number);
  if (major > MAJOR || (major === MAJOR && minor >= MINOR)) return version;
  throw new SetupError(
    `Node.js ${MAJOR}.${MINOR} or later is needed, and this is ${version}. ` +
      "See https://nodejs.org/en/download for ways to get it.",
  );
}
