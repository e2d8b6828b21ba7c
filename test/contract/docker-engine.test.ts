import { DockerEngine } from "../../packages/api/src/engine/docker-engine.js";
import { dockerHost } from "../support/daemon.js";
import { engineContract } from "./engine-contract.js";

engineContract("Docker", async () => ({
  engine: new DockerEngine(dockerHost),
  dispose: async () => {},
}));
