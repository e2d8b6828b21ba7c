const TOKEN_VARIABLE = "CLAWDSPACE_GIT_TOKEN";
const USER_VARIABLE = "CLAWDSPACE_GIT_USER";
const MASK = "***";

// Answers git's question from the environment of the git process that asks.
const HELPER = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$${USER_VARIABLE}" "$${TOKEN_VARIABLE}"; }; f`;

/**
 * The environment of one git process. The token is in it and nowhere else: no argument, no file, no repository's config.
 * Helpers and hooks that a repository's own config names are switched off, since they would see it.
 */
export function gitEnv(
  token: string | undefined,
  username = "x-access-token",
): Record<string, string> {
  const config: [string, string][] = [
    // An empty helper clears those that other config has set, so that none of them stores the token.
    ["credential.helper", ""],
    ...(token ? ([["credential.helper", HELPER]] as [string, string][]) : []),
    ["core.hooksPath", "/dev/null"],
  ];
  return {
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
    GIT_CONFIG_COUNT: `${config.length}`,
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    ...(token ? { [TOKEN_VARIABLE]: token, [USER_VARIABLE]: username } : {}),
  };
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
