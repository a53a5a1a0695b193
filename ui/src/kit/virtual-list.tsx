/**
 * A list that renders only what is on screen: rows of one height, some opened to a height of their own, which is
 * measured once they are there. It scrolls in itself and calls `onEnd` when its end comes near.
 */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { scrollFor, slice } from "../draw/virtual";
import { useSize } from "./use";

type Heights = Map<number, number>;

const NONE = new Set<number>();

export function VirtualList({ count, rowPx, row, extra, opened = NONE, focus, label, foot, onEnd, id }: {
  count: number;
  rowPx: number;
  row(index: number): ComponentChildren;
  /** The opened rows, and what hangs below each. */
  opened?: Set<number>;
  extra?(index: number): ComponentChildren | null;
  /** The row that must be seen. */
  focus?: number;
  label: string;
  foot?: ComponentChildren;
  onEnd?: () => void;
  id?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const [top, setTop] = useState(0);
  const [measured, setHeights] = useState<Heights>(new Map());
  const heights: Heights = new Map([...measured].filter(([index]) => opened.has(index)));
  const part = slice(count, rowPx, heights, top, size.height);

  useLayoutEffect(() => {
    if (focus === undefined || focus < 0 || !box.current) return;
    const to = scrollFor(focus, rowPx, heights, box.current.scrollTop, box.current.clientHeight);
    if (to !== null) box.current.scrollTop = to;
  }, [focus]);
  useEffect(() => {
    if (count > 0 && size.height > 0 && part.last >= count) onEnd?.();
  }, [part.last, count, size.height]);

  const rows: ComponentChildren[] = [];
  for (let i = part.first; i < part.last; i++) {
    const more = opened.has(i) ? (extra?.(i) ?? null) : null;
    rows.push(<div key={i} role="presentation">{row(i)}{more && <Measured index={i} set={setHeights}>{more}</Measured>}</div>);
  }
  return (
    <div class="vlist" ref={box} id={id} role="listbox" aria-label={label} tabIndex={0} onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
      <div style={{ height: `${part.total}px`, position: "relative" }} role="presentation">
        <div style={{ position: "absolute", top: `${part.before}px`, left: "0", right: "0" }} role="presentation">{rows}</div>
      </div>
      {foot}
    </div>
  );
}

/** Tells the list how tall an opened part is. */
function Measured({ index, set, children }: { index: number; set(change: (h: Heights) => Heights): void; children: ComponentChildren }) {
  const ref: RefObject<HTMLDivElement | null> = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const el = ref.current!;
    const read = () => set((h) => (h.get(index) === el.offsetHeight ? h : new Map(h).set(index, el.offsetHeight)));
    read();
    const watch = new ResizeObserver(read);
    watch.observe(el);
    return () => {
      watch.disconnect();
    };
  }, [index]);
  return <div ref={ref}>{children}</div>;
}
