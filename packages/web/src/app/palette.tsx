import { Command } from "cmdk";
import { FolderTree, Moon, Play, Plus, SquareTerminal } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { useNavigate } from "react-router";
import { StatusDot } from "../components/status.js";
import { useLifecycle } from "../features/spaces/index.js";
import { useAllSpaces } from "../lib/all-spaces.js";
import { isAwake } from "../lib/queries.js";
import { useMay } from "../lib/session.js";
import { PAGES } from "./pages.js";

const MAX_SPACES = 50;

/** Finds pages and spaces, and does what can be done with them. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const may = useMay("agent");
  const lifecycle = useLifecycle();
  const { spaces = [] } = useAllSpaces();
  const go = (to: string) => () => {
    onClose();
    void navigate(to);
  };
  const change = (name: string, verb: "start" | "stop") => () => {
    onClose();
    lifecycle.mutate({ verb, names: [name] });
  };
  return (
    <Radix.Root open onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="scrim" />
        <Radix.Content className="dialog palette" aria-describedby={undefined}>
          <Radix.Title className="hidden-label">Find or do</Radix.Title>
          <Command label="Find or do">
            <Command.Input placeholder="A space, a page, something to do…" autoFocus />
            <Command.List>
              <Command.Empty>Nothing is called that.</Command.Empty>
              <Command.Group heading="Do">
                {may && (
                  <Command.Item onSelect={go("/spaces?create")}>
                    <Plus aria-hidden="true" />
                    Create a space
                  </Command.Item>
                )}
              </Command.Group>
              <Command.Group heading="Pages">
                {PAGES.map(({ to, name, icon: Icon }) => (
                  <Command.Item key={to} onSelect={go(to)}>
                    <Icon aria-hidden="true" />
                    {name}
                  </Command.Item>
                ))}
              </Command.Group>
              <Command.Group heading="Spaces">
                {spaces.slice(0, MAX_SPACES).flatMap(({ name, status }) => [
                  <Command.Item key={name} value={name} onSelect={go(`/spaces/${name}`)}>
                    <StatusDot status={status} />
                    {name}
                  </Command.Item>,
                  <Command.Item
                    key={`${name} terminal`}
                    value={`${name} terminal`}
                    onSelect={go(`/spaces/${name}/terminal`)}
                  >
                    <SquareTerminal aria-hidden="true" />
                    {name} · terminal
                  </Command.Item>,
                  <Command.Item
                    key={`${name} files`}
                    value={`${name} files`}
                    onSelect={go(`/spaces/${name}/files`)}
                  >
                    <FolderTree aria-hidden="true" />
                    {name} · files
                  </Command.Item>,
                  may && (
                    <Command.Item
                      key={`${name} change`}
                      value={`${name} ${isAwake({ status }) ? "sleep" : "wake"}`}
                      onSelect={change(name, isAwake({ status }) ? "stop" : "start")}
                    >
                      {isAwake({ status }) ? (
                        <Moon aria-hidden="true" />
                      ) : (
                        <Play aria-hidden="true" />
                      )}
                      {name} · {isAwake({ status }) ? "sleep" : "wake"}
                    </Command.Item>
                  ),
                ])}
              </Command.Group>
            </Command.List>
          </Command>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
