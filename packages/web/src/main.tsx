import "./lib/session.js";
import "@fontsource-variable/geist";
import "@fontsource-variable/geist-mono";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/signs.css";
import "./styles/overlays.css";
import "./styles/shell.css";
import "./styles/sign-in.css";
import "./styles/common.css";
import "./styles/spaces.css";
import "./styles/create.css";
import "./styles/space.css";
import "./styles/pages-narrow.css";
import "./styles/panels.css";
import "./styles/audit.css";
import "./styles/files.css";
import "./styles/run.css";
import "./styles/features-narrow.css";
import { ClawdspaceError } from "@clawdspace/client";
import { MutationCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { App } from "./app/app.js";
import { Toaster, toast } from "./components/toast.js";
import { adoptScriptStyles } from "./lib/script-styles.js";
import { SESSION } from "./lib/session.js";

adoptScriptStyles();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The event stream says what is outdated.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (count, error) =>
        count < 2 && !(error instanceof ClawdspaceError && error.status < 500),
    },
  },
  mutationCache: new MutationCache({
    onError: (error, _variables, _context, mutation) => {
      if (error instanceof ClawdspaceError && error.code === "unauthorized") {
        void client.invalidateQueries({ queryKey: SESSION });
      }
      if (!mutation.meta?.quiet) toast.error(error);
    },
  }),
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
        <Toaster />
      </QueryClientProvider>
    </StrictMode>,
  );
}
