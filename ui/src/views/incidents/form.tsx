/** What forms of rules and silences share: a label over a field, and sending with the server's word beside the button. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { fieldOf } from "./words";

export interface Sending {
  busy: boolean;
  said: string | null;
  error: string | null;
  /** The field that the server's sentence names. */
  wrong: string | null;
  undo: (() => Promise<unknown>) | null;
  run(send: () => Promise<string>, undo?: () => Promise<unknown>): Promise<void>;
}

export function useSending(fields: string[]): Sending {
  const [state, set] = useState<Omit<Sending, "run">>({ busy: false, said: null, error: null, wrong: null, undo: null });
  const run = async (send: () => Promise<string>, undo: (() => Promise<unknown>) | null = null) => {
    set((s) => ({ ...s, busy: true, undo: null }));
    try {
      set({ busy: false, said: await send(), error: null, wrong: null, undo });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      set({ busy: false, said: null, error: message, wrong: fieldOf(message, fields), undo: null });
    }
  };
  return { ...state, run };
}

export function Said({ sending: { said, error, undo, run } }: { sending: Sending }) {
  return (
    <span role="status" class="said">
      {error && <span class="warn">{error}</span>}
      {said && <span class="soft">{said}</span>}
      {said && undo && <button type="button" class="link" onClick={() => void run(async () => (await undo(), "It is back."))}>Undo</button>}
    </span>
  );
}

export function Labelled({ text, note, wrong = false, wide = false, children }: { text: string; note?: string | undefined; wrong?: boolean; wide?: boolean; children: ComponentChildren }) {
  return <label class={`labelled ${wrong ? "wrong" : ""} ${wide ? "wide" : ""}`}><span>{text}{note && <span class="faint"> {note}</span>}</span>{children}</label>;
}
