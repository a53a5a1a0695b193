/**
 * The link is the state: path and query string as signals, relative to the page's base, so that the UI
 * works under any prefix. Opening a link never writes preferences. Knows nothing of pages.
 */
import { computed, signal } from "@preact/signals";

/** The prefix the UI is served under, always ending in "/": the server puts it into `<base>`. */
export const basePath: string = typeof document === "undefined" ? "/" : new URL("./", document.baseURI).pathname;

const href = signal(typeof location === "undefined" ? "/" : location.pathname + location.search);

const pathOf = (h: string) => h.split(/[?#]/)[0]!;

/** The path below the base, without a leading slash: `traces`, `trace/4bf9…`. */
export const path = computed(() => {
  const p = pathOf(href.value);
  return (p.startsWith(basePath) ? p.slice(basePath.length) : p.replace(/^\//, "")).replace(/\/$/, "");
});

export const params = computed(() => new URLSearchParams(href.value.split("#")[0]!.slice(pathOf(href.value).length)));

export type Patch = Record<string, string | string[] | null | undefined>;

/** `?a=1` from a plain object; empty values leave no trace in the link. */
export function query(patch: Patch, from?: URLSearchParams): string {
  const out = new URLSearchParams(from);
  for (const [key, value] of Object.entries(patch)) {
    out.delete(key);
    if (Array.isArray(value)) for (const v of value) out.append(key, v);
    else if (value !== null && value !== undefined && value !== "") out.set(key, value);
  }
  const text = out.toString().replace(/%3A/g, ":").replace(/%2F/g, "/");
  return text && `?${text}`;
}

/** A link inside the UI, for `href`: `link("logs", {trace_id})`. */
export const link = (to: string, patch: Patch = {}): string => basePath + to + query(patch);

export function navigate(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  href.value = location.pathname + location.search;
  if (!replace) scrollTo(0, 0);
}

/** Changes some parameters of the present page. Typing and dragging replace; choosing pushes. */
export function setParams(patch: Patch, replace = false): void {
  const next = basePath + path.value + query(patch, params.value);
  if (next !== location.pathname + location.search) navigate(next, replace);
}

/** Follows the browser's buttons and turns clicks on our own links into navigation. Call once. */
export function startRouter(): void {
  addEventListener("popstate", () => (href.value = location.pathname + location.search));
  addEventListener("click", (event) => {
    const a = (event.target as Element | null)?.closest?.("a");
    if (!a || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    // As written: the `href` of a link inside a drawing is no text.
    const to = new URL(a.getAttribute("href") ?? "", document.baseURI);
    if (a.hasAttribute("target") || a.hasAttribute("download") || to.origin !== location.origin || !to.pathname.startsWith(basePath)) return;
    if (to.pathname.startsWith(`${basePath}api/`)) return;
    event.preventDefault();
    navigate(to.pathname + to.search);
  });
}
