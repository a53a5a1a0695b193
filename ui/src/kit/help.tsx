/** The sheet behind `?`: the commands that work right now, in their groups. */
import { useEffect, useRef } from "preact/hooks";
import { allCommands, helpOpen } from "../state/commands";
import { Icon } from "./icons";

const SHORT: Record<string, string> = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };

export function Help() {
  const sheet = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) sheet.current?.showModal();
    else sheet.current?.close();
  }, [open]);
  const close = () => (helpOpen.value = false);
  const commands = open ? allCommands() : [];
  const groups = [...new Set(commands.map((c) => c.group))];
  return (
    <dialog ref={sheet} onClose={close} onClick={(e) => e.target === sheet.current && close()} aria-label="Keys">
      <div class="sheet">
        <div class="head"><h1>Keys</h1><button type="button" class="icon plain" aria-label="Close" onClick={close}><Icon name="close" /></button></div>
        <div class="keys">
          {groups.map((g) => (
            <section key={g}>
              <h3>{g}</h3>
              <ul>
                {commands.filter((c) => c.group === g).map((c) => (
                  <li key={c.id}>
                    <span>{c.text}</span>
                    <span class="row">{c.keys.map((k) => k.split(" ").map((one) => <kbd key={one}>{SHORT[one] ?? one}</kbd>))}</span>
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      </div>
    </dialog>
  );
}
