/**
 * Commands: every action of the keyboard has an id, keys and a sentence. The help sheet is this list, so it cannot lie.
 * A page registers its own while it is on screen; the newest registration of a key wins.
 */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Command {
  /** Verb first: `open-trace`. */
  id: string;
  /** As shown: `j`, `g t` (one after the other), `Enter`, `Shift+Enter`. Alternatives beside each other. */
  keys: string[];
  text: string;
  group: string;
  run(event: KeyboardEvent): void;
}

const layers = signal<Command[][]>([]);

export const helpOpen = signal(false);

export function allCommands(): Command[] {
  const seen = new Set<string>();
  return layers.value.slice().reverse().flat().filter((c) => !seen.has(c.id) && seen.add(c.id));
}

/** Registers the commands of a component for as long as it lives; `run` may close over fresh state. */
export function useCommands(commands: Command[]): void {
  const fresh = useRef(commands);
  fresh.current = commands;
  useEffect(() => {
    const layer = commands.map((c, i): Command => ({ ...c, run: (event) => fresh.current[i]?.run(event) }));
    layers.value = [...layers.value, layer];
    return () => {
      layers.value = layers.value.filter((l) => l !== layer);
    };
  }, []);
}

let pending = "";
let pendingTimer = 0;

export function keyName(event: Pick<KeyboardEvent, "key" | "shiftKey">): string {
  const key = event.key === " " ? "Space" : event.key;
  return key.length > 1 && event.shiftKey ? `Shift+${key}` : key;
}

function typing(event: KeyboardEvent): boolean {
  const el = event.target as HTMLElement | null;
  return !!el?.closest?.("input, textarea, select, [contenteditable], [role=listbox], dialog");
}

/** Enter and Space belong to the control that has the focus. */
function ownKey(event: KeyboardEvent): boolean {
  const el = event.target as HTMLElement | null;
  return (event.key === "Enter" || event.key === " ") && !!el?.closest?.("button, a, summary");
}

export function startKeyboard(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (typing(event) || ownKey(event)) return;
    const name = keyName(event);
    const sequence = pending ? `${pending} ${name}` : name;
    pending = "";
    clearTimeout(pendingTimer);
    const commands = allCommands();
    const hit = commands.find((c) => c.keys.includes(sequence)) ?? commands.find((c) => c.keys.includes(name));
    if (hit) {
      event.preventDefault();
      hit.run(event);
    } else if (commands.some((c) => c.keys.some((k) => k.startsWith(`${name} `)))) {
      pending = name;
      pendingTimer = window.setTimeout(() => (pending = ""), 900);
    }
  });
}
