import { FakeEngine } from "../../packages/api/src/engine/fake-engine.js";
import { engineContract } from "./engine-contract.js";

engineContract("fake", async () => {
  const engine = await FakeEngine.create();
  return { engine, dispose: () => engine.dispose() };
});
