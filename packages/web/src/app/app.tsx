import { lazy, Suspense } from "react";
import { Navigate, Route, Routes } from "react-router";
import { Failure } from "../components/feedback.js";
import { SignIn } from "../features/sign-in/sign-in.js";
import { SpacesPage } from "../features/spaces/spaces-page.js";
import { useSession } from "../lib/session.js";
import { Shell } from "./shell.js";

const SpacePage = lazy(() => import("./space-page.js"));
const NodesPage = lazy(() => import("../features/nodes/nodes-page.js"));
const AuditPage = lazy(() => import("../features/audit/audit-page.js"));
const TemplatesPage = lazy(() => import("../features/templates/templates-page.js"));
const SystemPage = lazy(() => import("../features/system/system-page.js"));

export function App() {
  const session = useSession();
  if (session.isPending) return null;
  if (session.error) {
    return (
      <div className="gate">
        <Failure error={session.error} onRetry={() => void session.refetch()} />
      </div>
    );
  }
  if (!session.data) return <SignIn />;
  return (
    <Shell>
      <Suspense fallback={<div className="page-body" />}>
        <Routes>
          <Route path="/" element={<Navigate to="/spaces" replace />} />
          <Route path="/spaces" element={<SpacesPage />} />
          <Route path="/spaces/:name/:tab?" element={<SpacePage />} />
          <Route path="/nodes" element={<NodesPage />} />
          <Route path="/templates/:name?" element={<TemplatesPage />} />
          <Route path="/audit" element={<AuditPage />} />
          <Route path="/system" element={<SystemPage />} />
          <Route path="*" element={<Navigate to="/spaces" replace />} />
        </Routes>
      </Suspense>
    </Shell>
  );
}
