/**
 * The whole trace in a strip: one cell per pixel, holding the service that is there (1-based), 0 for none, or ERROR.
 * One pass over the spans, whatever their number. While lines are few each error is drawn, last, so that none is hidden;
 * where hundreds of spans share a cell it is red only when at least one in eight failed, else all would be red.
 */
import type { Trace } from "./trace";

export const ERROR_CELL = 0xffff;

/** Spans per line above which a line is a summary. */
const CROWD = 6;

export function minimapCells(trace: Trace, width: number, height: number): Uint16Array {
  const cells = new Uint16Array(width * height);
  if (trace.count === 0 || !(trace.durationUs > 0) || width < 1 || height < 1) return cells;
  // Few spans get a line of some cells and a gap; many share lines.
  const pitch = Math.max(1, Math.min(4, Math.floor(height / trace.count)));
  const thick = pitch > 2 ? pitch - 1 : pitch;
  const lines = Math.floor(height / pitch);
  const perUs = width / trace.durationUs;
  const lineOf = (i: number) => (trace.count <= lines ? i : Math.floor((i * lines) / trace.count));
  const columnOf = (i: number) => Math.max(0, Math.min(width - 1, Math.floor(trace.start[i]! * perUs)));
  const draw = (i: number, value: number) => {
    const from = columnOf(i);
    const to = Math.min(width, Math.max(from + 1, Math.ceil((trace.start[i]! + trace.duration[i]!) * perUs)));
    for (let t = 0; t < thick; t++) cells.fill(value, (lineOf(i) * pitch + t) * width + from, (lineOf(i) * pitch + t) * width + to);
  };
  const crowded = trace.count > lines * CROWD;
  for (let i = 0; i < trace.count; i++) if (crowded || trace.status[i] !== 2) draw(i, trace.service[i]! + 1);
  if (!crowded) {
    for (let i = 0; i < trace.count; i++) if (trace.status[i] === 2) draw(i, ERROR_CELL);
    return cells;
  }
  const begun = new Uint32Array(cells.length);
  const failed = new Uint32Array(cells.length);
  for (let i = 0; i < trace.count; i++) {
    const cell = lineOf(i) * width + columnOf(i);
    begun[cell]!++;
    if (trace.status[i] === 2) failed[cell]!++;
  }
  for (let c = 0; c < cells.length; c++) if (failed[c]! > 0 && failed[c]! * 8 >= begun[c]!) cells[c] = ERROR_CELL;
  return cells;
}
