import { WORKSPACE } from "../spaces/container-spec.js";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Puts a process's environment together; what is more specific wins: image, space, request. */
export function processEnv(
  image: Record<string, string>,
  space: Record<string, string>,
  request: Record<string, string> | undefined,
  user: "sandbox" | "root" = "sandbox",
): Record<string, string> {
  return {
    PATH,
    HOME: WORKSPACE,
    LANG: "C.UTF-8",
    ...image,
    ...(user === "root" ? { HOME: "/root" } : {}),
    USER: user,
    LOGNAME: user,
    ...space,
    ...request,
  };
}
