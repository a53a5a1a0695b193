/** The whole request in a strip above the waterfall: shows where the window is, and moves it by dragging. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { oklch, serviceColor } from "../../draw/color";
import { ERROR_CELL, minimapCells } from "../../draw/minimap";
import type { Trace } from "../../draw/trace";
import { clampWindow, type Window } from "../../draw/waterfall";
import { palette } from "../../kit/theme";
import { context, drag, useSize } from "../../kit/use";

export function Minimap({ trace, whole, window, onWindow }: { trace: Trace; whole: number; window: Window; onWindow(w: Window): void }) {
  const wrap = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(wrap);
  const colors = palette.value;
  const [brush, setBrush] = useState<Window | null>(null);
  const image = useMemo(() => picture(trace, whole, size, colors.dark, colors.error), [trace, whole, size, colors]);
  const shown = brush ?? window;
  const zoomed = shown.from > 0 || shown.to < whole;

  useEffect(() => {
    const ctx = canvas.current && context(canvas.current, size);
    if (!ctx || !image) return;
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(image, 0, 0, size.width, size.height);
    if (!zoomed) return;
    const [a, b] = [(shown.from / whole) * size.width, (shown.to / whole) * size.width];
    ctx.fillStyle = colors.bg;
    ctx.globalAlpha = 0.68;
    ctx.fillRect(0, 0, a, size.height);
    ctx.fillRect(b, 0, size.width - b, size.height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colors.accent;
    ctx.fillRect(Math.min(a, size.width - 2), 0, 2, size.height);
    ctx.fillRect(Math.max(0, b - 2), 0, 2, size.height);
  }, [image, size, shown.from, shown.to, colors]);

  const usAt = (x: number) => (Math.max(0, Math.min(size.width, x)) / size.width) * whole;
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || !wrap.current) return;
    const x0 = event.clientX - wrap.current.getBoundingClientRect().left;
    const near = (us: number) => Math.abs((us / whole) * size.width - x0) < 6;
    const edge = zoomed ? (near(window.from) ? "from" : near(window.to) ? "to" : null) : null;
    const inside = zoomed && !edge && usAt(x0) > window.from && usAt(x0) < window.to;
    const next = (x: number): Window => {
      if (edge) return order(edge === "from" ? window.to : window.from, usAt(x));
      if (inside) return clampWindow({ from: window.from + usAt(x) - usAt(x0), to: window.to + usAt(x) - usAt(x0) }, whole);
      return order(usAt(x0), usAt(x));
    };
    drag(event, wrap.current, (x, _, moved) => moved && setBrush(next(x)), (x, _, moved) => {
      setBrush(null);
      const w = next(x);
      if (moved && w.to > w.from) onWindow(w);
    });
  };
  return (
    <div class="minimap" ref={wrap} onPointerDown={down} onDblClick={() => onWindow({ from: 0, to: whole })} title="Drag to zoom, double click to see everything">
      <canvas ref={canvas} aria-hidden="true" />
    </div>
  );
}

const order = (a: number, b: number): Window => ({ from: Math.min(a, b), to: Math.max(a, b) });

/** The cells as a picture of device pixels, made once per size and theme. */
function picture(trace: Trace, whole: number, size: { width: number; height: number }, dark: boolean, error: string): HTMLCanvasElement | null {
  const scale = devicePixelRatio || 1;
  const [w, h] = [Math.round(size.width * scale), Math.round(size.height * scale)];
  if (w < 1 || h < 1) return null;
  const cells = minimapCells({ ...trace, durationUs: whole }, w, h);
  const ink = [0, ...trace.services.map((s) => abgr(serviceColor(s, dark)))];
  const red = abgr(/^#/.test(error) ? error : toHex(error) ?? oklch(0.6, 0.2, 25));
  const out = document.createElement("canvas");
  out.width = w;
  out.height = h;
  const ctx = out.getContext("2d")!;
  const image = ctx.createImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < cells.length; i++) {
    const c = cells[i]!;
    if (c !== 0) pixels[i] = c === ERROR_CELL ? red : ink[c]!;
  }
  ctx.putImageData(image, 0, 0);
  return out;
}

const abgr = (hex: string): number => {
  const n = parseInt(hex.slice(1), 16);
  return (0xff000000 | ((n & 0xff) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
};

function toHex(rgb: string): string | null {
  const m = /rgba?\((\d+),\s*(\d+),\s*(\d+)/.exec(rgb);
  return m && `#${[m[1], m[2], m[3]].map((v) => Number(v).toString(16).padStart(2, "0")).join("")}`;
}
