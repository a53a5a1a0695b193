/** The tokens as canvases need them: resolved colours, read again when the theme changes. */
import { computed } from "@preact/signals";
import { isDark } from "../state/prefs";

const NAMES = [
  "bg", "bg-raised", "bg-sunken", "bg-hover", "bg-selected", "bg-popover", "text", "text-soft", "text-faint", "line", "line-strong", "edge", "accent", "accent-soft",
  "error", "error-soft", "warn", "critical", "mark", "sev-unset", "sev-trace", "sev-debug", "sev-info", "sev-warn", "sev-error", "sev-fatal",
] as const;

export type Palette = Record<(typeof NAMES)[number], string> & { dark: boolean; font: string; mono: string };

export const palette = computed<Palette>(() => {
  const dark = isDark.value;
  const probe = document.createElement("i");
  probe.hidden = true;
  document.body.append(probe);
  const out: Record<string, string | boolean> = { dark };
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    out[name] = getComputedStyle(probe).color;
  }
  const root = getComputedStyle(document.documentElement);
  out["font"] = root.getPropertyValue("--font");
  out["mono"] = root.getPropertyValue("--mono");
  probe.remove();
  return out as Palette;
});
