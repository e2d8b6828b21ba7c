const MASK = "***";
const MAX_TEXT = 8 * 1024;
/** Patterns look at no more than this; what stands last in it may be half a secret and is left out. */
const WINDOW = 12 * 1024;
const WINDOW_EDGE = 1024;
const MAX_ITEMS = 100;
const MAX_DEPTH = 4;

const NAMES =
  "pass(?:word|wd|phrase)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?";
const VALUE = `"[^"]{0,2048}"|'[^']{0,2048}'|[^\\s'"&;|]{1,2048}`;
const SECRET_NAME = new RegExp(`${NAMES}|auth|_key$`, "i");
const SECRET_OPTION = new RegExp(`^--?(?:${NAMES})$`, "i");

/**
 * Each finds a secret by its surroundings or its form, and keeps what stands around it. Repetitions are bounded, so that
 * no text makes one slow: some of the texts come from spaces.
 */
const PATTERNS: [RegExp, string][] = [
  // https://user:secret@host, https://TOKEN@host
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@'"]{1,1024}@/gi, `$1${MASK}@`],
  // ?key=…, &access_token=…
  [
    /([?&][\w.-]{0,40}(?:key|token|secret|password|signature|sig|code|auth))=[^\s&#'";]+/gi,
    `$1=${MASK}`,
  ],
  [/\b(bearer|basic)\s{1,8}[\w.~+/=-]{6,2048}/gi, `$1 ${MASK}`],
  [
    /\b(authorization|x-api-key|private-token|cookie)(["']?\s{0,8}[:=]\s{0,8}["']?)(?!bearer|basic)[^\s'"]{1,2048}/gi,
    `$1$2${MASK}`,
  ],
  // NAME_TOKEN=…, export PASSWORD="…", "apiKey": "…"
  [
    new RegExp(
      `\\b([\\w-]{0,40}(?:${NAMES})[\\w-]{0,40}["']?\\s{0,8}[=:]\\s{0,8})(?:${VALUE})`,
      "gi",
    ),
    `$1${MASK}`,
  ],
  // --password …, --token …
  [new RegExp(`(--?(?:${NAMES})\\s{1,8})(?:${VALUE})`, "gi"), `$1${MASK}`],
  // curl -u user:secret
  [/(\s(?:-u|--user)\s{1,8}["']?[^\s:'"]{1,256}:)[^\s'"]{1,1024}/g, `$1${MASK}`],
  [/\bclawdspace_sk_\w+/g, MASK],
  [/\b(?:gh[opsur]_|github_pat_)\w{16,255}/g, MASK],
  [/\b(?:glpat-|xox[abeprs]-|sk-|sk_live_|rk_live_|npm_|hf_|pypi-|dop_v1_)[\w-]{16,255}/g, MASK],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, MASK],
  [/\bAIza[\w-]{35}/g, MASK],
  [/\beyJ[\w-]{8,1024}\.[\w-]{8,1024}\.[\w-]{8,1024}/g, MASK],
  [
    /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
    MASK,
  ],
];

/**
 * Blanks what looks like a secret out of a text: tokens in URLs, headers, assignments, and keys of known forms; a long
 * text is cut.
 * @param known values that are secrets here, whatever they look like.
 */
export function maskSecrets(text: string, known: readonly string[] = []): string {
  let masked = text.slice(0, WINDOW);
  for (const secret of known) masked = masked.replaceAll(secret, MASK);
  for (const [pattern, replacement] of PATTERNS) masked = masked.replace(pattern, replacement);
  const kept = text.length > WINDOW ? masked.slice(0, -WINDOW_EDGE) : masked;
  if (text.length <= WINDOW && kept.length <= MAX_TEXT) return kept;
  return `${kept.slice(0, MAX_TEXT)}… cut, of ${text.length} characters`;
}

/** The values of an environment that may not be shown: those under a telling name, and long ones. */
export const secretsOf = (env: Readonly<Record<string, string>>) =>
  Object.entries(env)
    .filter(([name, value]) => value.length >= 20 || (value.length >= 4 && SECRET_NAME.test(name)))
    .map(([, value]) => value)
    .sort((a, b) => b.length - a.length);

/**
 * A value as it may be kept for good: texts masked, what is long or deep cut. In a list of words, as of a command, the
 * word behind an option such as --token is masked too.
 */
export function toRecord(value: unknown, known: readonly string[] = [], depth = 0): unknown {
  if (typeof value === "string") return maskSecrets(value, known);
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value !== "object" || depth >= MAX_DEPTH) return undefined;
  if (Array.isArray(value)) return toRecordedList(value, known, depth);
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([name, item]) => [name, toRecord(item, known, depth + 1)]),
  );
}

function toRecordedList(list: unknown[], known: readonly string[], depth: number): unknown[] {
  const kept: unknown[] = [];
  let length = 0;
  for (const [at, item] of list.entries()) {
    if (at >= MAX_ITEMS || length >= MAX_TEXT) return [...kept, `… ${list.length - at} more`];
    const option = list[at - 1];
    const secret = typeof option === "string" && SECRET_OPTION.test(option);
    const record = secret ? MASK : toRecord(item, known, depth + 1);
    if (typeof record === "string") length += record.length;
    kept.push(record);
  }
  return kept;
}
