/** Loading as a hook: cancel when the question changes, keep the old answer visible until the new one is there. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Loaded<A> {
  data: A | null;
  error: Error | null;
  loading: boolean;
  reload(): void;
}

const toError = (e: unknown) => (e instanceof Error ? e : new Error(String(e)));

/** Asks again whenever `key` changes; `key === null` asks nothing and forgets the answer. */
export function useLoad<A>(key: string | null, ask: (signal: AbortSignal) => Promise<A>): Loaded<A> {
  const [state, set] = useState<{ key: string | null; data: A | null; error: Error | null; loading: boolean }>({ key, data: null, error: null, loading: key !== null });
  const [turn, setTurn] = useState(0);
  const fresh = useRef(ask);
  fresh.current = ask;
  useEffect(() => {
    if (key === null) {
      set({ key, data: null, error: null, loading: false });
      return;
    }
    const stop = new AbortController();
    set((s) => ({ ...s, key, loading: true }));
    fresh.current(stop.signal).then(
      (data) => stop.signal.aborted || set({ key, data, error: null, loading: false }),
      (error: unknown) => stop.signal.aborted || set((s) => ({ key, data: s.data, error: toError(error), loading: false })),
    );
    return () => stop.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((t) => t + 1), []);
  return { ...state, loading: state.loading || state.key !== key, reload };
}

export interface Page<I> {
  items: I[];
  next: string | null;
  partial: string | null;
}

export interface Paged<I> extends Loaded<Page<I>> {
  more(): void;
  loadingMore: boolean;
  moreError: Error | null;
}

/** The same for a list with cursors: `more` appends the next page. */
export function usePages<I>(key: string | null, ask: (cursor: string | null, signal: AbortSignal) => Promise<Page<I>>): Paged<I> {
  const first = useLoad(key, (signal) => ask(null, signal));
  const [rest, setRest] = useState<{ of: Page<I> | null; page: Page<I> | null; busy: AbortController | null; error: Error | null }>({ of: null, page: null, busy: null, error: null });
  const mine = rest.of === first.data ? rest : { of: first.data, page: null, busy: null, error: null };
  const data = mine.page ?? first.data;
  const flying = useRef<AbortController | null>(null);
  // With the new list, not after it is painted: who asks for more in between would be cut off.
  useLayoutEffect(() => () => flying.current?.abort(), [first.data]);
  const more = () => {
    if (!data?.next || mine.busy || first.loading) return;
    const busy = (flying.current = new AbortController());
    const of = first.data;
    setRest({ ...mine, of, busy, error: null });
    ask(data.next, busy.signal).then(
      (page) => busy.signal.aborted || setRest({ of, page: { ...page, items: data.items.concat(page.items) }, busy: null, error: null }),
      (error: unknown) => busy.signal.aborted || setRest({ of, page: mine.page, busy: null, error: toError(error) }),
    );
  };
  return { ...first, data, more, loadingMore: mine.busy !== null, moreError: mine.error };
}
