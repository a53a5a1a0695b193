/** Which rows of a list are on screen, when all have one height but for a few opened ones with extra below. Pure. */

export interface Slice {
  first: number;
  last: number;
  /** Pixels above `first`. */
  before: number;
  total: number;
}

/** `extra` maps a row to the pixels that hang below it; few entries, so they are walked in order. */
export function slice(count: number, rowPx: number, extra: Map<number, number>, top: number, height: number, over = 8): Slice {
  const opened = [...extra].filter(([row]) => row < count).sort((a, b) => a[0] - b[0]);
  const total = count * rowPx + opened.reduce((sum, [, px]) => sum + px, 0);
  const offsetOf = (row: number) => row * rowPx + opened.reduce((sum, [r, px]) => sum + (r < row ? px : 0), 0);
  const rowAt = (y: number) => {
    let skipped = 0;
    for (const [row, px] of opened) {
      const below = (row + 1) * rowPx + skipped;
      if (y < below) break;
      if (y < below + px) return row;
      skipped += px;
    }
    return Math.floor((y - skipped) / rowPx);
  };
  const first = Math.max(0, Math.min(count, rowAt(Math.max(0, top)) - over));
  const last = Math.max(first, Math.min(count, rowAt(top + height) + 1 + over));
  return { first, last, before: offsetOf(first), total };
}

/** Where to scroll so that a row is seen, moving as little as possible; null when it is seen already. */
export function scrollFor(row: number, rowPx: number, extra: Map<number, number>, top: number, height: number): number | null {
  let y = row * rowPx;
  for (const [r, px] of extra) if (r < row) y += px;
  if (y < top) return y;
  if (y + rowPx > top + height) return y + rowPx - height;
  return null;
}
