/** What a person chose for this browser, and no link may change: theme, zone, column widths. */
import { effect, signal } from "@preact/signals";
import type { Zone } from "./time";

const KEY = "hypocenter.prefs";

interface Prefs {
  theme: "system" | "light" | "dark";
  zone: Zone;
  /** Share of the waterfall's width that the name column takes. */
  nameShare: number;
  /** Width of the request page's side panel. */
  panelPx: number;
}

const DEFAULTS: Prefs = { theme: "system", zone: "local", nameShare: 0.36, panelPx: 440 };

function load(): Prefs {
  try {
    const raw = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Prefs>;
    return {
      theme: raw.theme === "light" || raw.theme === "dark" ? raw.theme : "system",
      zone: raw.zone === "utc" ? "utc" : "local",
      nameShare: clamp(Number(raw.nameShare), 0.12, 0.7, DEFAULTS.nameShare),
      panelPx: clamp(Number(raw.panelPx), 300, 900, DEFAULTS.panelPx),
    };
  } catch {
    return DEFAULTS;
  }
}

function clamp(n: number, low: number, high: number, fallback: number): number {
  return Number.isFinite(n) ? Math.min(high, Math.max(low, n)) : fallback;
}

export const prefs = signal<Prefs>(typeof localStorage === "undefined" ? DEFAULTS : load());

export function setPref(patch: Partial<Prefs>): void {
  prefs.value = { ...prefs.value, ...patch };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs.value));
  } catch {
    // Private windows may refuse storage; the choice then lives as long as the page.
  }
}

const systemDark = typeof matchMedia === "undefined" ? null : matchMedia("(prefers-color-scheme: dark)");
const dark = signal(false);

/** True while the page is drawn dark, whoever decided it. Canvases redraw when it changes. */
export const isDark = dark;

if (systemDark) {
  const decide = () => (dark.value = prefs.value.theme === "system" ? systemDark.matches : prefs.value.theme === "dark");
  systemDark.addEventListener("change", decide);
  effect(() => {
    const { theme } = prefs.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    decide();
  });
}
