import { Dialog } from "../components/dialog.js";

const SHORTCUTS: [keys: string[], what: string][] = [
  [["Ctrl", "K"], "Find or do anything"],
  [["?"], "This sheet"],
  [["g", "s"], "Spaces"],
  [["g", "n"], "Nodes"],
  [["g", "t"], "Templates"],
  [["g", "a"], "Audit"],
  [["g", "y"], "System"],
  [["/"], "Search the list"],
  [["c"], "Create a space"],
  [["v"], "Switch between list and cards"],
  [["Ctrl", "S"], "Save the file or template being edited"],
  [["Ctrl", "Shift", "F"], "Search in the terminal"],
  [["Esc"], "Close what is open"],
];

export default function ShortcutSheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title="Keyboard shortcuts">
      <div className="body">
        <dl className="shortcuts">
          {SHORTCUTS.map(([keys, what]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>
                {keys.map((key) => (
                  <kbd key={key} className="key">
                    {key}
                  </kbd>
                ))}
              </dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  );
}
