import * as z from "zod";
import { ERROR_STATUS, type ErrorCode } from "./error.js";

export const IssueSchema = z.object({
  path: z.string(),
  message: z.string(),
  line: z.number().int().optional().describe("Of a text that was sent, counted from 1"),
});
export type Issue = z.infer<typeof IssueSchema>;

/** The body of every answer that is not a success. */
export const ErrorBodySchema = z
  .object({
    error: z.string().describe("A sentence that a person can act on"),
    code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
    issues: z.array(IssueSchema).optional().describe("What was wrong with which field"),
  })
  .meta({ id: "Error" });
export type ErrorBody = z.infer<typeof ErrorBodySchema>;
