import { setFlagsFromString } from "node:v8";

// V8's young generation grows to three times 16 MiB while the daemon's modules load, and stays so: more than a thousand
// spaces take. Kept as it begins, a command costs some 4 % more of a CPU. It has to be said before they load.
setFlagsFromString("--semi-space-growth-factor=1");
await import("./daemon.js");
