import * as z from "zod";

/** What a space used at one moment; what is "per second" is the mean since the point before. */
export const MetricsPointSchema = z.object({
  ts: z.iso.datetime(),
  cpuPercent: z.number().describe("100 is one CPU in full use"),
  memoryUsageBytes: z.number(),
  networkRxBytesPerSecond: z.number(),
  networkTxBytesPerSecond: z.number(),
  blockReadBytesPerSecond: z.number(),
  blockWriteBytesPerSecond: z.number(),
});
export type MetricsPoint = z.infer<typeof MetricsPointSchema>;

export const MetricsHistorySchema = z
  .object({
    intervalMs: z.number(),
    points: z
      .array(MetricsPointSchema)
      .describe("Of the last hour, oldest first; none for times in which the space slept"),
  })
  .meta({ id: "MetricsHistory" });
export type MetricsHistory = z.infer<typeof MetricsHistorySchema>;
