/** The door: the frame around every page, the choice of page, and the keys that work everywhere. */
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./kit/tokens.css";
import "./kit/base.css";
import { Help } from "./kit/help";
import { Icon } from "./kit/icons";
import { Empty } from "./kit/states";
import { helpOpen, startKeyboard, useCommands } from "./state/commands";
import { prefs, setPref } from "./state/prefs";
import { basePath, link, navigate, params, path, startRouter } from "./state/url";
import { ChangesPage } from "./views/changes/page";
import { FaultPage } from "./views/fault/page";
import { GraphPage } from "./views/graph/page";
import { IncidentPage } from "./views/incidents/incident";
import { IncidentsPage, OpenIncidents } from "./views/incidents/page";
import { RulesPage } from "./views/incidents/rules";
import { IngestPage } from "./views/ingest/page";
import { LogsPage } from "./views/logs/page";
import { RequestPage } from "./views/request/page";
import { TracesPage } from "./views/traces/page";

const PAGES = [
  { path: "traces", text: "Traces", key: "g t" },
  { path: "graph", text: "Graph", key: "g s" },
  { path: "logs", text: "Logs", key: "g l" },
  { path: "fault", text: "Fault", key: "g f" },
  { path: "changes", text: "Changes", key: "g c" },
  { path: "incidents", text: "Incidents", key: "g n" },
  { path: "ingest", text: "Ingest", key: "g i" },
];

const TRACE_ID = /^[0-9a-f]{1,32}$/i;

function App() {
  useCommands([
    { id: "show-help", keys: ["?"], text: "Show the keys", group: "Everywhere", run: () => (helpOpen.value = true) },
    ...PAGES.map((p) => ({ id: `go-${p.path}`, keys: [p.key], text: `Go to ${p.text}`, group: "Everywhere", run: () => navigate(samePeriod(p.path)) })),
    { id: "go-trace-id", keys: ["g r"], text: "Go to a request by its trace id", group: "Everywhere", run: () => document.getElementById("jump")?.focus() },
    { id: "switch-theme", keys: ["D"], text: "Switch dark, light, system", group: "Everywhere", run: nextTheme },
    { id: "switch-zone", keys: ["U"], text: "Switch local time and UTC", group: "Everywhere", run: nextZone },
  ]);
  return (
    <>
      <Top />
      <Body />
      <Help />
    </>
  );
}

function Body() {
  const at = path.value;
  if (at === "" || at === "traces") return <><OpenIncidents /><TracesPage /></>;
  if (at === "graph") return <GraphPage />;
  if (at === "logs") return <LogsPage />;
  if (at === "fault") return <FaultPage />;
  if (at === "changes") return <ChangesPage />;
  if (at === "rules") return <RulesPage />;
  if (at === "incidents") return <IncidentsPage />;
  if (at === "ingest") return <IngestPage />;
  const incident = /^incidents\/([^/]+)$/.exec(at)?.[1];
  if (incident) return <IncidentPage key={incident} id={decodeURIComponent(incident)} />;
  const trace = /^trace\/([^/]+)$/.exec(at)?.[1];
  if (trace) return <RequestPage key={trace} id={decodeURIComponent(trace).toLowerCase()} />;
  return (
    <main class="page">
      <Empty title="There is no such page" icon="search"><p>Nothing lives at <code>/{at}</code>.</p><a class="btn" href={link("traces")}>Go to the traces</a></Empty>
    </main>
  );
}

function Top() {
  const at = path.value;
  return (
    <header class="top">
      <a class="brand" href={link("traces")} aria-label="Hypocenter"><img src={`${basePath}logo.svg`} alt="" /><span>Hypocenter</span></a>
      <nav class="nav" aria-label="Pages">
        {PAGES.map((p) => {
          const here = at === p.path || (p.path === "traces" && (at === "" || at.startsWith("trace/"))) || (p.path === "incidents" && (at === "rules" || at.startsWith("incidents/")));
          return <a key={p.path} href={samePeriod(p.path)} aria-current={here ? "page" : undefined}>{p.text}</a>;
        })}
      </nav>
      <span class="grow" />
      <Jump />
      <ZoneButton />
      <ThemeButton />
      <button type="button" class="icon plain" title="Keys (?)" aria-label="Show the keys" onClick={() => (helpOpen.value = true)}><Icon name="help" /></button>
    </header>
  );
}

/** From page to page the time range comes along; everything else is the page's own. */
const samePeriod = (to: string) => link(to, { from: params.value.get("from"), to: params.value.get("to") });

function Jump() {
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const id = text.trim().toLowerCase();
  const bad = id !== "" && !TRACE_ID.test(id);
  const go = (event: Event) => {
    event.preventDefault();
    if (id === "" || bad) return;
    setText("");
    input.current?.blur();
    navigate(link(`trace/${id}`));
  };
  return (
    <form class="field jump" onSubmit={go}>
      <Icon name="search" size={14} />
      <input id="jump" ref={input} value={text} placeholder="Trace id" aria-label="Go to a trace id" aria-invalid={bad} title={bad ? "A trace id is hexadecimal" : undefined} spellcheck={false} autocomplete="off"
        onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()} />
    </form>
  );
}

const nextZone = () => setPref({ zone: prefs.value.zone === "utc" ? "local" : "utc" });
const nextTheme = () => setPref({ theme: ({ system: "dark", dark: "light", light: "system" } as const)[prefs.value.theme] });

function ZoneButton() {
  const zone = prefs.value.zone;
  return <button type="button" class="plain small" title="Switch local time and UTC (U)" onClick={nextZone}>{zone === "utc" ? "UTC" : "Local"}</button>;
}

function ThemeButton() {
  const theme = prefs.value.theme;
  const text = `Theme: ${theme} (D)`;
  return <button type="button" class="icon plain" title={text} aria-label={text} onClick={nextTheme}><Icon name={theme === "dark" ? "moon" : theme === "light" ? "sun" : "auto"} /></button>;
}

function Title() {
  const at = path.value;
  useEffect(() => {
    const page = at.startsWith("trace/") ? "Request" : at.startsWith("incidents/") ? "Incident" : at === "rules" ? "Rules and silences" : (PAGES.find((p) => p.path === at)?.text ?? "Traces");
    document.title = `${page} · Hypocenter`;
  }, [at]);
  return null;
}

startRouter();
startKeyboard();
render(<><App /><Title /></>, document.getElementById("app")!);
