import * as z from "zod";

export const FindingSchema = z
  .object({
    name: z.string().describe("What was looked at"),
    status: z.enum(["ok", "warning", "failed"]),
    detail: z.string().describe("What was found"),
    fix: z.string().optional().describe("What mends it, where it isn't ok"),
  })
  .meta({ id: "Finding" });
export type Finding = z.infer<typeof FindingSchema>;

export const DoctorSchema = z
  .object({
    checks: z.array(FindingSchema).describe("From the machine outwards"),
    checkedAt: z.iso.datetime().describe("By the node's own clock: compare it with yours"),
  })
  .meta({ id: "Doctor" });
export type Doctor = z.infer<typeof DoctorSchema>;

/** A clock further from another than this many milliseconds makes signatures, leases and logs wrong. */
export const MAX_CLOCK_OFFSET_MS = 30_000;

/**
 * What there is to say of a clock that reads `now` when a node's reads `theirs`, both in milliseconds since 1970; ages of a few
 * seconds, as an answer has on its way, are nothing.
 */
export function clockFinding(theirs: number, now: number): Finding {
  const offset = theirs - now;
  if (Math.abs(offset) < MAX_CLOCK_OFFSET_MS) {
    return { name: "Clock", status: "ok", detail: "as the daemon's" };
  }
  return {
    name: "Clock",
    status: "warning",
    detail: `${Math.round(Math.abs(offset) / 1000)} s ${offset > 0 ? "behind" : "ahead of"} the daemon's`,
    fix: "Set both by NTP: `sudo timedatectl set-ntp true`",
  };
}
