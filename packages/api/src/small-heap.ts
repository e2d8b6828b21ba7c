import { setFlagsFromString } from "node:v8";

// V8's young generation grows to three times 16 MiB while the daemon's modules load, and stays so: as much as a thousand
// spaces take. Kept as it begins, commands cost some 4 % more of a CPU. It has to be said before anything else loads.
setFlagsFromString("--semi-space-growth-factor=1");
