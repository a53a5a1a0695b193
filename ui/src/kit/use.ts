/** Small hooks: sizes, clicks outside, canvases that are sharp and redraw once per frame, dragging. */
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export function useOutside(ref: RefObject<HTMLElement | null>, run: () => void): void {
  const fresh = useRef(run);
  fresh.current = run;
  useEffect(() => {
    const down = (event: Event) => ref.current && !ref.current.contains(event.target as Node) && fresh.current();
    addEventListener("pointerdown", down, true);
    return () => removeEventListener("pointerdown", down, true);
  }, []);
}

export interface Size { width: number; height: number }

export function useSize(ref: RefObject<HTMLElement | null>): Size {
  const [size, set] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const el = ref.current;
    if (!el) return;
    const read = () => set((s) => (s.width === el.clientWidth && s.height === el.clientHeight ? s : { width: el.clientWidth, height: el.clientHeight }));
    read();
    const watch = new ResizeObserver(read);
    watch.observe(el);
    return () => watch.disconnect();
  }, []);
  return size;
}

/** No browser draws larger ones. */
const CANVAS_PX_MAX = 16_384;

/** Sets the canvas to device pixels and gives a context that counts in CSS pixels. */
export function context(canvas: HTMLCanvasElement, size: Size): CanvasRenderingContext2D | null {
  const scale = devicePixelRatio || 1;
  const [w, h] = [Math.round(size.width * scale), Math.round(size.height * scale)].map((n) => Math.min(n, CANVAS_PX_MAX)) as [number, number];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const ctx = canvas.getContext("2d");
  ctx?.setTransform(scale, 0, 0, scale, 0, 0);
  ctx?.clearRect(0, 0, size.width, size.height);
  return ctx;
}

/** Follows a pointer from its press to its release, with positions relative to `el`. */
export function drag(event: PointerEvent, el: HTMLElement, move: (x: number, y: number, moved: boolean) => void, end: (x: number, y: number, moved: boolean) => void): void {
  const box = el.getBoundingClientRect();
  const [x0, y0] = [event.clientX, event.clientY];
  let moved = false;
  const at = (e: PointerEvent): [number, number, boolean] => {
    moved ||= Math.hypot(e.clientX - x0, e.clientY - y0) > 3;
    return [e.clientX - box.left, e.clientY - box.top, moved];
  };
  const onMove = (e: PointerEvent) => move(...at(e));
  const onEnd = (e: PointerEvent) => {
    removeEventListener("pointermove", onMove);
    removeEventListener("pointerup", onEnd);
    removeEventListener("pointercancel", onEnd);
    end(...at(e));
  };
  addEventListener("pointermove", onMove);
  addEventListener("pointerup", onEnd);
  addEventListener("pointercancel", onEnd);
}

/** Cuts a text to a width, with an ellipsis; the search for the cut is binary. */
export function fit(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (width < 8) return "";
  if (ctx.measureText(text).width <= width) return text;
  let [low, high] = [0, Math.min(text.length, Math.ceil(width / 2))];
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (ctx.measureText(`${text.slice(0, mid)}…`).width <= width) low = mid;
    else high = mid - 1;
  }
  return low === 0 ? "" : `${text.slice(0, low)}…`;
}
