import { AuditList } from "./audit-list.js";

/** What was done to one space. */
export default function SpaceAudit({ space }: { space: string }) {
  return <AuditList filter={{ space }} />;
}
