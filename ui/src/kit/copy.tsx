/** Copying, with the word that it happened. Works on plain http too, where the clipboard API is missing. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons";

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, children, title, icon = "copy", class: cls = "small" }: {
  text: string | (() => string); children?: ComponentChildren; title: string; icon?: IconName; class?: string;
}) {
  const [state, set] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => set("idle"), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const run = async () => set((await copyText(typeof text === "function" ? text() : text)) ? "done" : "failed");
  return (
    <button type="button" class={`copy ${cls} ${children ? "" : "icon"}`} title={title} aria-label={title} onClick={run}>
      <Icon name={state === "done" ? "check" : state === "failed" ? "alert" : icon} size={14} />
      {children && (state === "done" ? "Copied" : state === "failed" ? "Not copied" : children)}
      <span class="sr" role="status">{state === "done" ? "Copied" : ""}</span>
    </button>
  );
}

export function CodeBox({ text }: { text: string }) {
  return (
    <div class="codebox">
      <pre>{text}</pre>
      <CopyButton text={text} title="Copy" class="small plain" />
    </div>
  );
}
