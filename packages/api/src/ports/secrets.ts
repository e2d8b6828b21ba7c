/** The parameter by which a link's token comes to a preview's own origin. */
export const TOKEN_PARAMETER = "clawdspace_token";

/**
 * A request target ("/path?query") without what opens the daemon: a key in `?key=`, a link's token. Other parameters stay
 * byte for byte.
 */
export function withoutSecrets(target: string, isKey: (text: string) => boolean): string {
  const [path = "", ...queries] = target.split("?");
  if (queries.length === 0) return target;
  const kept = queries
    .join("?")
    .split("&")
    .filter((parameter) => {
      // Parsed alone, so that a parameter is read as the daemon itself reads it.
      const [[name, value] = ["", ""]] = new URLSearchParams(parameter);
      return !(name === TOKEN_PARAMETER || (name === "key" && isKey(value)));
    })
    .join("&");
  return kept ? `${path}?${kept}` : path;
}
