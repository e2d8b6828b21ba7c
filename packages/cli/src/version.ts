/** Put in by the build. */
declare const CLAWDSPACE_VERSION: string;

export const VERSION = typeof CLAWDSPACE_VERSION === "string" ? CLAWDSPACE_VERSION : "0.0.0-dev";
