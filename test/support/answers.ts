import { expect } from "vitest";
import {
  ERROR_STATUS,
  ErrorBodySchema,
  type ErrorCode,
} from "../../packages/protocol/src/index.js";
import type { Daemon } from "./daemon.js";

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  body: any;
}

/** A request with the key, its answer parsed; fails where the answer is no JSON. */
export async function ask(
  daemon: Daemon,
  method: string,
  path: string,
  body?: unknown,
  init: RequestInit = {},
): Promise<Answer> {
  const answer = await daemon.request(method, path, body, init);
  const text = await answer.text();
  expect(answer.headers.get("content-type"), text).toMatch(/^application\/json/);
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text) };
}

/** Fails unless an answer is an error as the contract has it: status, code, a sentence, and each path among its issues. */
export function expectError(answer: Answer, code: ErrorCode, ...paths: string[]): void {
  const text = JSON.stringify(answer.body);
  expect(answer.status, text).toBe(ERROR_STATUS[code]);
  const body = ErrorBodySchema.strict().parse(answer.body);
  expect(body.code, text).toBe(code);
  expect(body.error.length).toBeGreaterThan(8);
  expect(body.error).not.toMatch(/\bat .*\.[jt]s:\d|node_modules|undefined|\[object/);
  const found = (body.issues ?? []).map(({ path }) => path);
  for (const path of paths) expect(found, text).toContain(path);
}
