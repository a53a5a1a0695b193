/** A text field that offers values: type to narrow, arrows and Enter to choose. Any text may be entered, offered or not. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";

export interface Choice { value: string; note?: string; mark?: ComponentChildren }

const SHOWN_MAX = 200;

export function Combo({ value, choices, onChange, label, placeholder, width, disabled, empty }: {
  value: string; choices: Choice[]; onChange(value: string): void; label: string; placeholder: string; width: number; disabled?: boolean; empty?: string;
}) {
  const [text, setText] = useState<string | null>(null);
  const [at, setAt] = useState(-1);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const open = text !== null;
  const want = (text ?? "").toLowerCase();
  const fit = open ? choices.filter((c) => want === "" || text === value || c.value.toLowerCase().includes(want)).slice(0, SHOWN_MAX) : [];
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const choose = (next: string) => {
    setText(null);
    setAt(-1);
    if (next !== value) onChange(next);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) setText(value);
      else setAt((at + (event.key === "ArrowDown" ? 1 : -1) + fit.length + 1) % Math.max(1, fit.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(at >= 0 ? (fit[at]?.value ?? "") : (text ?? value).trim());
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      setText(null);
      setAt(-1);
    }
  };
  return (
    <span class="combo" style={{ width: `${width}px` }}>
      <input
        role="combobox" aria-label={label} aria-expanded={open} aria-controls={id} aria-autocomplete="list" aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        value={text ?? value} placeholder={placeholder} disabled={disabled} autocomplete="off" spellcheck={false}
        onFocus={(e) => { setText(value); e.currentTarget.select(); }}
        onInput={(e) => { setText(e.currentTarget.value); setAt(-1); }}
        onBlur={() => open && choose((text ?? value).trim())}
        onKeyDown={onKey}
      />
      {value && !open && <button type="button" class="clear" aria-label={`Clear ${label}`} onClick={() => choose("")}><Icon name="close" size={12} /></button>}
      {!value && !open && <span class="mark"><Icon name="down" size={13} /></span>}
      {open && (
        <div class="pop" role="listbox" id={id} ref={list} onMouseDown={(e) => e.preventDefault()}>
          {fit.map((c, i) => (
            <div key={c.value} id={`${id}-${i}`} role="option" aria-selected={i === at} onMouseMove={() => i !== at && setAt(i)} onClick={() => choose(c.value)}>
              {c.mark}
              <span class="grow cut">{c.value}</span>
              {c.note && <span class="faint">{c.note}</span>}
            </div>
          ))}
          {fit.length === 0 && <div class="none">{choices.length === 0 ? (empty ?? "Nothing to offer yet") : "No such value; Enter uses it anyway"}</div>}
        </div>
      )}
    </span>
  );
}
