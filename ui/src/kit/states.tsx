/** The states every page has besides "here it is": waiting, trouble, nothing, not everything. */
import type { ComponentChildren } from "preact";
import { ApiError } from "../api/client";
import { link } from "../state/url";
import { Icon, type IconName } from "./icons";

export function Bones({ rows = 8 }: { rows?: number }) {
  return (
    <div class="bones" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => <i key={i} style={{ width: `${92 - ((i * 37) % 55)}%` }} />)}
    </div>
  );
}

export function Empty({ title, icon = "inbox", children }: { title: string; icon?: IconName; children?: ComponentChildren }) {
  return (
    <div class="state">
      <Icon name={icon} size={36} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** What went wrong, in the server's words, and what can be done. */
export function Trouble({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div class="state" role="alert">
      <Icon name="alert" size={36} />
      <h2>{headline(error)}</h2>
      <p>{error.message}</p>
      {isUnavailable(error) && <p class="faint">What is sent meanwhile is kept in the journal and appears here when the store is back. <a href={link("ingest")}>How much is waiting</a></p>}
      {retry && <button type="button" onClick={retry}><Icon name="refresh" />Try again</button>}
    </div>
  );
}

export function TroubleNote({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <span class="grow">{headline(error)}: {error.message}</span>
      {retry && <button type="button" class="small plain" onClick={retry}>Try again</button>}
    </div>
  );
}

export function PartialNote({ reason }: { reason: string | null | undefined }) {
  if (!reason) return null;
  return <div class="note" role="status"><Icon name="alert" /><span>This is not everything: {reason}</span></div>;
}

const isUnavailable = (error: Error): boolean => error instanceof ApiError && error.code === "unavailable";

function headline(error: Error): string {
  const code = error instanceof ApiError ? error.code : error.name;
  switch (code) {
    case "invalid_argument": return "The question was not understood";
    case "unauthenticated": return "Please sign in";
    case "permission_denied": return "This is not open to you";
    case "not_found": return "Nothing found";
    case "too_large": return "Too large";
    case "resource_exhausted": return "A limit was reached";
    case "unavailable": return "The store is not available";
    case "deadline_exceeded": return "This took too long";
    case "unreachable": return "No connection";
    case "ShapeError": return "An answer this page cannot read";
    default: return "Something went wrong";
  }
}
