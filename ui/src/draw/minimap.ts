/**
 * The whole trace in a strip: one cell per pixel, holding the service that is there (1-based), 0 for none, or ERROR.
 * One pass over the spans, whatever their number; errors are drawn last so that none is hidden.
 */
import type { Trace } from "./trace";

export const ERROR_CELL = 0xffff;

export function minimapCells(trace: Trace, width: number, height: number): Uint16Array {
  const cells = new Uint16Array(width * height);
  if (trace.count === 0 || !(trace.durationUs > 0) || width < 1 || height < 1) return cells;
  // Few spans get a line of 2 cells and a gap; many share lines.
  const pitch = Math.max(1, Math.min(4, Math.floor(height / trace.count)));
  const thick = pitch > 2 ? pitch - 1 : pitch;
  const lines = Math.floor(height / pitch);
  const perUs = width / trace.durationUs;
  for (const errors of [false, true]) {
    for (let i = 0; i < trace.count; i++) {
      const error = trace.status[i] === 2;
      if (error !== errors) continue;
      const line = trace.count <= lines ? i : Math.floor((i * lines) / trace.count);
      const from = Math.max(0, Math.min(width - 1, Math.floor(trace.start[i]! * perUs)));
      const to = Math.min(width, Math.max(from + 1, Math.ceil((trace.start[i]! + trace.duration[i]!) * perUs)));
      const value = error ? ERROR_CELL : trace.service[i]! + 1;
      for (let t = 0; t < thick; t++) cells.fill(value, (line * pitch + t) * width + from, (line * pitch + t) * width + to);
    }
  }
  return cells;
}
