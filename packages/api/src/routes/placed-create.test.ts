import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { ClawdspaceError } from "@clawdspace/protocol";
import { expect, it } from "vitest";
import { createPlaced } from "./placed-create.js";

const peerOf = (name: string) => ({ machine: { name }, state: "online", reason: undefined });
const failure = (code: string) =>
  new ClawdspaceError("node_unreachable", "It broke off.", {
    cause: Object.assign(new Error(code), { code }),
  });

/** Creates with two nodes to try in turn, and tells which were asked. */
async function create(first: () => Promise<unknown>): Promise<string[]> {
  const asked: string[] = [];
  const placement = { node: "first", considered: [] };
  const services = {
    placing: {
      places: async () => [
        { peer: peerOf("first"), placement },
        { peer: undefined, placement },
      ],
    },
    forwarder: {
      send: async () => {
        asked.push("first");
        return await first();
      },
    },
  };
  const request = { body: { name: "x" }, headers: {}, actor: { name: "o", role: "admin" } };
  const reply = { raw: new EventEmitter() };
  const createHere = async () => {
    asked.push("here");
  };
  await createPlaced(services as never, request as never, reply as never, "auto", createHere);
  return asked;
}

it("goes to the next node where the request has certainly not reached the first", async () => {
  const refuse = () => Promise.reject(failure("ECONNREFUSED"));
  expect(await create(refuse)).toEqual(["first", "here"]);
  const full = new ClawdspaceError("insufficient_resources", "No room.").toBody();
  const body = Readable.from([Buffer.from(JSON.stringify(full))]);
  expect(await create(async () => ({ status: 422, body }))).toEqual(["first", "here"]);
});

it("makes no second space where the first node may have made it", async () => {
  const cutOff = create(() => Promise.reject(failure("UND_ERR_SOCKET")));
  await expect(cutOff).rejects.toThrow(/^It broke off\. Whether it has made the space isn't known/);
});
