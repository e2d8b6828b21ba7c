import * as z from "zod";

export const space = z.string().describe("Name of the space");
export const path = z.string().describe('Rooted at /workspace: "/a.txt" is /workspace/a.txt');
export const command = z
  .union([z.string(), z.array(z.string()).min(1)])
  .describe("A string runs as `sh -c`, an array as program and arguments");
export const cwd = z
  .string()
  .optional()
  .describe("Absolute, or relative to /workspace (the default)");
export const env = z.record(z.string(), z.string()).optional();

/** What a model is told of a space. */
export const spaceShape = {
  name: z.string(),
  status: z.string(),
  image: z.string(),
  memoryBytes: z.number(),
  cpus: z.number(),
  template: z.string().optional(),
  description: z.string().optional(),
  lastActivity: z.string(),
};

export const processShape = {
  id: z.string(),
  pid: z.number(),
  command: z.union([z.string(), z.array(z.string())]),
  tag: z.string().optional(),
  status: z.string(),
  exitCode: z.number().optional(),
  startedAt: z.string(),
  outputEnd: z.number().describe("Bytes of output so far"),
};
export const doneShape = { message: z.string() };
