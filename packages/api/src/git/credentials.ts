const TOKEN_VARIABLE = "CLAWDSPACE_GIT_TOKEN";
const USER_VARIABLE = "CLAWDSPACE_GIT_USER";
const MASK = "***";

// Answers git's question from the environment of the git process that asks.
const HELPER = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$${USER_VARIABLE}" "$${TOKEN_VARIABLE}"; }; f`;

/** What a git process may sign in with, and at which server alone. */
export interface GitCredentials {
  token: string;
  username: string | undefined;
  /** Scheme, host and port of the https server, such as "https://github.com". */
  origin: string;
}

/**
 * The environment of one git process. The token is in it and nowhere else: no argument, no file, no repository's config.
 * git gets it for its own server alone, whatever submodules, redirects and `insteadOf` lead to. Helpers and hooks that a
 * repository's own config names are switched off, since they would see it.
 */
export function gitEnv(credentials?: GitCredentials): Record<string, string> {
  const secret: [string, string][] = credentials
    ? [
        [`credential.${credentials.origin}.helper`, HELPER],
        ["core.hooksPath", "/dev/null"],
        ["core.fsmonitor", "false"],
        ["push.gpgSign", "false"],
      ]
    : [];
  // An empty helper clears those that other config has set, so that none of them stores the token.
  const config: [string, string][] = [["credential.helper", ""], ...secret];
  return {
    // git's words tell what went wrong; they are read in one language.
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
    // No remote helper, such as "ext::", that runs a command of the repository's choice.
    GIT_ALLOW_PROTOCOL: "file:git:http:https:ssh",
    GIT_CONFIG_COUNT: `${config.length}`,
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    ...(credentials
      ? {
          [TOKEN_VARIABLE]: credentials.token,
          [USER_VARIABLE]: credentials.username ?? "x-access-token",
        }
      : {}),
  };
}

/** The credentials for a URL, where it is an https one; a token goes nowhere else. */
export function credentialsFor(
  url: string,
  token: string | undefined,
  username?: string,
): GitCredentials | undefined {
  if (!token || !URL.canParse(url) || new URL(url).protocol !== "https:") return undefined;
  return { token, username, origin: new URL(url).origin };
}

/** Takes user and password out of an https URL; other URLs come back as they are. */
export function splitCredentials(repoUrl: string): {
  url: string;
  username: string | undefined;
  password: string | undefined;
} {
  if (!URL.canParse(repoUrl)) return { url: repoUrl, username: undefined, password: undefined };
  const url = new URL(repoUrl);
  const username = decodeURIComponent(url.username) || undefined;
  const password = decodeURIComponent(url.password) || undefined;
  if (!username) return { url: repoUrl, username: undefined, password: undefined };
  url.username = "";
  url.password = "";
  // A lone user name is how a token is commonly written: https://TOKEN@host/…
  return password
    ? { url: url.href, username, password }
    : { url: url.href, username: undefined, password: username };
}

/** Blanks a token out of a text that goes to a client. */
export const maskTokens = (text: string, token: string | undefined) =>
  token ? text.replaceAll(token, MASK).replaceAll(encodeURIComponent(token), MASK) : text;
