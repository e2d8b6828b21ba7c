import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { PeerSessions } from "./peer-sessions.js";
import { type PeerRequest, signToken } from "./peer-token.js";
import { isProof, newNonce, prove, sessionKey } from "./proof.js";

const secret = randomBytes(32);
const actor = { name: "bot", role: "agent", spaces: ["bot-*"] } as const;
const exec: PeerRequest = {
  method: "POST",
  path: "/api/spaces/bot-1/exec?a=1",
  actor: { ...actor, spaces: [...actor.spaces] },
  from: "100.64.0.7",
  header: true,
};

async function shake(sessions: PeerSessions, known = secret) {
  const initiator = { node: "near", nonce: newNonce() };
  const { node, nonce, instance, at, proof } = await sessions.hello(initiator, "100.64.0.2");
  const made = { initiator, responder: { node, nonce, instance, at } };
  const session = { id: nonce, key: sessionKey(known, made), from: "near", to: node };
  return { made, session, proof, ours: prove(known, "initiator", made) };
}

const open = async (sessions: PeerSessions) => {
  const { session, ours } = await shake(sessions);
  expect(await sessions.open(session.id, ours)).toBe("near");
  return session;
};

const farNode = () =>
  new PeerSessions(
    async () => secret,
    () => "far",
  );

it("proves itself to whoever says hello, and nobody else can make that proof", async () => {
  const { made, proof } = await shake(farNode());
  expect(isProof(secret, "responder", made, proof)).toBe(true);
  expect(isProof(randomBytes(32), "responder", made, proof)).toBe(false);
  // Neither as the other side's proof, nor for another place, name or nonce.
  expect(isProof(secret, "initiator", made, proof)).toBe(false);
  const moved = { ...made, responder: { ...made.responder, at: "100.64.0.9" } };
  expect(isProof(secret, "responder", moved, proof)).toBe(false);
  const renamed = { ...made, initiator: { ...made.initiator, node: "other" } };
  expect(isProof(secret, "responder", renamed, proof)).toBe(false);
});

it("opens a session for a node that proves itself, and for one try only", async () => {
  const sessions = farNode();
  const stranger = await shake(sessions, randomBytes(32));
  await expect(sessions.open(stranger.session.id, stranger.ours)).rejects.toThrow(
    "doesn't know you",
  );
  const { session, ours, proof } = await shake(sessions);
  await expect(sessions.open(session.id, proof)).rejects.toThrow("doesn't know you");
  await expect(sessions.open(session.id, ours)).rejects.toThrow("doesn't know you");
});

it("takes a token once, for the request that it was made for, and learns who asks", async () => {
  const sessions = farNode();
  const session = await open(sessions);
  const token = await signToken(session, exec, Date.now());
  expect(await sessions.verify(token, exec)).toMatchObject({
    node: "near",
    actor: { name: "bot", role: "agent", spaces: ["bot-*"] },
    from: "100.64.0.7",
    header: true,
  });
  await expect(sessions.verify(token, exec)).rejects.toMatchObject({ code: "unauthorized" });
});

it.each([
  ["another method", { method: "DELETE" }],
  ["another path", { path: "/api/spaces/bot-2/exec?a=1" }],
  ["another query", { path: "/api/spaces/bot-1/exec?a=2" }],
])("refuses a token for %s", async (_what, other) => {
  const sessions = farNode();
  const token = await signToken(await open(sessions), exec, Date.now());
  await expect(sessions.verify(token, { ...exec, ...other })).rejects.toThrow("doesn't know you");
});

it("refuses altered, foreign, expired and unsigned tokens", async () => {
  const sessions = farNode();
  const session = await open(sessions);
  const [head = "", body = "", mac = ""] = (await signToken(session, exec, Date.now())).split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  const admin = { ...claims, actor: { name: "owner", role: "admin" } };
  const raised = Buffer.from(JSON.stringify(admin)).toString("base64url");
  const none = Buffer.from(JSON.stringify({ alg: "none", kid: session.id })).toString("base64url");
  const other = await open(sessions);
  for (const token of [
    `${head}.${raised}.${mac}`,
    `${head}.${body}.${mac.slice(0, -2)}AA`,
    `${none}.${body}.`,
    await signToken({ ...session, key: randomBytes(32) }, exec, Date.now()),
    await signToken({ ...session, to: "third" }, exec, Date.now()),
    await signToken({ ...other, id: session.id }, exec, Date.now()),
    await signToken(session, exec, Date.now() - 40_000),
    await signToken(session, exec, Date.now() + 40_000),
    "",
    "a.b.c",
  ]) {
    await expect(sessions.verify(token, exec), token).rejects.toMatchObject({
      code: "unauthorized",
    });
  }
});

it("refuses the sessions of an earlier run, and tokens for another node", async () => {
  const session = await open(farNode());
  const token = await signToken(session, exec, Date.now());
  await expect(farNode().verify(token, exec)).rejects.toMatchObject({ code: "unauthorized" });
});
