import { setFlagsFromString } from "node:v8";

// V8's young generation grows to three times 16 MiB while the daemon's modules load, and stays so: more than a thousand
// spaces take. Kept as it begins, a command costs some 4 % more of a CPU. It has to be said before they load.
setFlagsFromString("--semi-space-growth-factor=1");
// The old generation may grow to four times what lives in it before it is collected, which under load is most of the memory
// that the daemon holds. At half as much again its peak no longer depends on how much goes through it.
setFlagsFromString("--heap-growing-percent=50");
await import("./daemon.js");
