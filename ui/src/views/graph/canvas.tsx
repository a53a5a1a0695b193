/** The graph on screen: a canvas with a camera. It holds what the hand is doing; everything else is the page's. */
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { atLeast, type Camera, CARD_K_MIN, frameOf, type Graph, hitAt, nextNode, pan, reveal, sceneOf, wholeOf, zoom } from "../../draw/graph";
import { Icon } from "../../kit/icons";
import { palette } from "../../kit/theme";
import { context, drag, type Size, useSize } from "../../kit/use";
import { useCommands } from "../../state/commands";
import { type Chosen, paint, paintHover, type Picture } from "./paint";

const NONE: Chosen = { node: -1, edge: -1 };
const PAN_PX = 90;
const ZOOM = 1.35;
/** As in graph.css: below this the panel stands under the drawing, else it takes so much of the right. */
const NARROW_PX = 900;
const PANEL_PX = 340;

export function GraphCanvas({ graph, room, seconds, focus, selected, onNode, onEdge, onFocus, describe }: {
  graph: Graph;
  /** Of the drawing and the panel together: opening the panel moves nothing. */
  room: Size;
  seconds: number;
  /** What the graph is about: when it changes, the whole is shown again. */
  focus: string;
  selected: Chosen;
  onNode(at: number): void;
  onEdge(at: number): void;
  onFocus(node: number): void;
  describe: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const size = useSize(box);
  // Null as long as nobody moved it: then the whole is shown, whatever arrives.
  const [moved, setMoved] = useState<Camera | null>(null);
  const [hovered, setHovered] = useState<Chosen>(NONE);
  const byHand = useRef("");
  const pressed = useRef(NONE);
  const colors = palette.value;
  const beside = room.width > NARROW_PX;
  const width = beside ? room.width : size.width;
  const frame = useMemo(() => frameOf(graph.nodes, width, size.height), [graph, width, size.height]);
  const camera = moved && moved.k >= atLeast(frame) ? moved : wholeOf(frame, size.width);
  const scene = useMemo(() => sceneOf(graph, frame, camera), [graph, frame, camera.k, camera.x, camera.y]);
  const hover: Chosen = { node: hovered.node < graph.nodes.length ? hovered.node : -1, edge: hovered.edge < graph.edges.length ? hovered.edge : -1 };

  useEffect(() => setMoved(null), [focus]);
  const node = graph.nodes[selected.node];
  const shown = node?.id ?? (selected.edge >= 0 ? `edge ${selected.edge}` : "");
  const begun = useRef(false);
  useEffect(() => {
    if (size.width === 0) return;
    if (shown !== "") {
      // What was clicked is seen already; what came by link, search or key may not be.
      // A link to a node shows cards, if the whole would without the panel.
      const from = begun.current || frame.k < CARD_K_MIN ? camera : wholeOf(frame);
      const next = node ? reveal(frame, from, node, beside ? Math.min(size.width, width - PANEL_PX) : size.width, byHand.current === shown) : from;
      if (next !== camera || begun.current) setMoved(next);
    }
    byHand.current = "";
    begun.current = true;
  }, [shown, size.width > 0]);
  const picture: Picture = { graph, frame, width: size.width, camera, scene, colors, seconds, selected };
  usePainting(canvas, size, (ctx) => paint(ctx, picture), [scene, colors, seconds, selected.node, selected.edge, size]);
  usePainting(above, size, (ctx) => paintHover(ctx, picture, hover), [scene, colors, seconds, selected.node, size, hover.node, hover.edge]);

  const zoomBy = (factor: number, x = size.width / 2, y = size.height / 2) => setMoved(zoom(frame, camera, factor, x, y));
  const panBy = (dx: number, dy: number) => setMoved(pan(frame, camera, dx, dy));
  const step = (dx: number, dy: number) => {
    const from = selected.node >= 0 ? selected.node : selected.edge >= 0 ? (dx < 0 ? graph.source : graph.target)[selected.edge]! : -1;
    const next = nextNode(graph, from, dx, dy);
    if (next >= 0) onNode(next);
  };
  const group = "Graph";
  useCommands([
    { id: "node-right", keys: ["ArrowRight"], text: "The node to the right", group, run: () => step(1, 0) },
    { id: "node-left", keys: ["ArrowLeft"], text: "The node to the left", group, run: () => step(-1, 0) },
    { id: "node-up", keys: ["ArrowUp"], text: "The node above", group, run: () => step(0, -1) },
    { id: "node-down", keys: ["ArrowDown"], text: "The node below", group, run: () => step(0, 1) },
    { id: "zoom-in", keys: ["+", "="], text: "Nearer", group, run: () => zoomBy(ZOOM) },
    { id: "zoom-out", keys: ["-"], text: "Further away", group, run: () => zoomBy(1 / ZOOM) },
    { id: "zoom-fit", keys: ["z"], text: "Show everything", group, run: () => setMoved(null) },
    { id: "pan-right", keys: ["Shift+ArrowRight"], text: "Look to the right", group, run: () => panBy(-PAN_PX, 0) },
    { id: "pan-left", keys: ["Shift+ArrowLeft"], text: "Look to the left", group, run: () => panBy(PAN_PX, 0) },
    { id: "pan-up", keys: ["Shift+ArrowUp"], text: "Look up", group, run: () => panBy(0, PAN_PX) },
    { id: "pan-down", keys: ["Shift+ArrowDown"], text: "Look down", group, run: () => panBy(0, -PAN_PX) },
  ]);

  const hit = (event: MouseEvent): Chosen => {
    const r = canvas.current!.getBoundingClientRect();
    return { ...NONE, ...hitAt(scene, event.clientX - r.left, event.clientY - r.top) };
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !canvas.current) return;
    const at = hit(event);
    const r = canvas.current.getBoundingClientRect();
    const [x0, y0] = [event.clientX - r.left, event.clientY - r.top];
    drag(event, canvas.current, (x, y, far) => far && setMoved(pan(frame, camera, x - x0, y - y0)), (_x, _y, far) => {
      if (far) return;
      // A double click means what lay under its first one: choosing may move the drawing.
      if (event.detail < 2) pressed.current = at;
      else return;
      if (at.node >= 0) {
        byHand.current = graph.nodes[at.node]!.id;
        onNode(at.node);
      } else onEdge(at.edge);
    });
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const r = canvas.current!.getBoundingClientRect();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) panBy(-event.deltaX, 0);
    else zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : event.deltaMode === 1 ? 0.06 : 0.0018)), event.clientX - r.left, event.clientY - r.top);
  };
  const wheelNow = useRef(wheel);
  wheelNow.current = wheel;
  useEffect(() => {
    const el = box.current!;
    const run = (event: WheelEvent) => wheelNow.current(event);
    el.addEventListener("wheel", run, { passive: false });
    return () => el.removeEventListener("wheel", run);
  }, []);
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Tab" || event.ctrlKey || event.altKey || event.metaKey) return;
    // Node by node in reading order; at either end the focus goes on as usual.
    const at = graph.order.indexOf(selected.node);
    const next = graph.order[at < 0 ? (event.shiftKey ? -1 : 0) : at + (event.shiftKey ? -1 : 1)];
    if (next === undefined) return;
    event.preventDefault();
    onNode(next);
  };

  const over = hover.node >= 0 || hover.edge >= 0;
  return (
    <div class="graph-box" ref={box} tabIndex={0} role="application" onKeyDown={key}
      aria-label={`Service graph of ${graph.nodes.length} nodes; arrows and Tab choose a node, Enter opens its traces, v shows a table, question mark lists the keys`}>
      <canvas ref={canvas} aria-hidden="true" />
      <canvas ref={above} aria-hidden="true" style={{ cursor: over ? "pointer" : "grab" }} onPointerDown={down} onPointerLeave={() => setHovered(NONE)}
        onPointerMove={(e) => {
          if (e.buttons) return;
          const at = hit(e);
          if (at.node !== hovered.node || at.edge !== hovered.edge) setHovered(at);
        }}
        onDblClick={() => { const at = pressed.current; if (at.node >= 0) onFocus(at.node); else if (at.edge < 0) setMoved(null); }} />
      <div class="graph-zoom">
        <button type="button" class="icon" title="Nearer (+)" aria-label="Nearer" onClick={() => zoomBy(ZOOM)}><Icon name="plus" size={14} /></button>
        <button type="button" class="icon" title="Further away (-)" aria-label="Further away" disabled={camera.k <= atLeast(frame)} onClick={() => zoomBy(1 / ZOOM)}><Icon name="minus" size={14} /></button>
        <button type="button" class="icon" title="Show everything (z)" aria-label="Show everything" onClick={() => setMoved(null)}><Icon name="fit" size={14} /></button>
      </div>
      <p class="sr" aria-live="polite">{describe}</p>
    </div>
  );
}

/** Paints once per frame at most, and only when something it shows has changed. */
function usePainting(canvas: RefObject<HTMLCanvasElement | null>, size: Size, run: (ctx: CanvasRenderingContext2D) => void, on: unknown[]): void {
  useEffect(() => {
    const turn = requestAnimationFrame(() => {
      const ctx = canvas.current && context(canvas.current, size);
      if (ctx && size.width > 0) run(ctx);
    });
    return () => cancelAnimationFrame(turn);
  }, on);
}
