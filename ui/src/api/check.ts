/**
 * Answers are looked at once, when they arrive: a page may then trust every field it reads.
 * A checker takes the value and the way to it, and gives the typed value or throws `ShapeError`.
 * Unknown fields are passed over, because the API may add them.
 */

import type { TypedAttribute } from "./types.gen";

export type Check<T> = (value: unknown, at: string) => T;

export class ShapeError extends Error {
  constructor(at: string, wanted: string, got: unknown) {
    const what = got === null ? "null" : Array.isArray(got) ? "a list" : got === undefined ? "nothing" : `a ${typeof got}`;
    super(`The server's answer has ${what} where this page expects ${wanted}: ${at || "the answer itself"}.`);
    this.name = "ShapeError";
  }
}

export const str: Check<string> = (v, at) => {
  if (typeof v !== "string") throw new ShapeError(at, "a text", v);
  return v;
};

export const num: Check<number> = (v, at) => {
  if (typeof v === "number" && Number.isFinite(v)) return v;
  // Counts beyond 2^53 come as decimal strings.
  if (typeof v === "string" && /^-?\d+(\.\d+)?$/.test(v)) return Number(v);
  throw new ShapeError(at, "a number", v);
};

export const bool: Check<boolean> = (v, at) => {
  if (typeof v !== "boolean") throw new ShapeError(at, "true or false", v);
  return v;
};

/** Nanoseconds as a decimal string (a number is taken too, and made a string). */
export const ns: Check<string> = (v, at) => {
  if (typeof v === "string" && /^-?\d+$/.test(v)) return v;
  if (typeof v === "number" && Number.isInteger(v)) return String(v);
  throw new ShapeError(at, "nanoseconds as decimal digits", v);
};

export const any: Check<unknown> = (v) => v;

export const arr = <T>(item: Check<T>): Check<T[]> => (v, at) => {
  if (!Array.isArray(v)) throw new ShapeError(at, "a list", v);
  return v.map((x, i) => item(x, `${at}[${i}]`));
};

/** A list that may be absent. */
export const list = <T>(item: Check<T>): Check<T[]> => or(arr(item), [] as T[]);

export const dict = <T>(item: Check<T>): Check<Record<string, T>> => (v, at) => {
  if (typeof v !== "object" || v === null || Array.isArray(v)) throw new ShapeError(at, "an object", v);
  const out: Record<string, T> = Object.create(null) as Record<string, T>;
  for (const [key, value] of Object.entries(v)) out[key] = item(value, `${at}.${key}`);
  return out;
};

/** Absent and null both become `fallback`. */
export const or = <T, F>(item: Check<T>, fallback: F): Check<T | F> => (v, at) => (v === undefined || v === null ? fallback : item(v, at));

/**
 * An object of the generated type `T`, of which a page reads the fields given: `pick<T.Span>()({ name: str })`.
 * A field that `T` has not, or whose values the checker would not pass on, gets a type that no page can use;
 * a field that no page reads needs no checker.
 */
export const pick = <T>() => <F extends Record<string, Check<unknown>>>(fields: F): Check<{ [K in keyof F]: Fit<T, K, Checked<F[K]>> }> => {
  const checks: [string, Check<unknown>][] = Object.entries(fields);
  return (v, at) => {
    if (typeof v !== "object" || v === null || Array.isArray(v)) throw new ShapeError(at, "an object", v);
    const out: Record<string, unknown> = {};
    for (const [key, check] of checks) out[key] = check((v as Record<string, unknown>)[key], at ? `${at}.${key}` : key);
    return out as { [K in keyof F]: Fit<T, K, Checked<F[K]>> };
  };
};

type Fit<T, K, C> = K extends keyof T ? (Whole<T[K]> extends C ? C : { "the server sends another type for": K }) : { "the server does not send": K };

/** A generated type with everything there: checkers give defaults for what may be absent. The pages never ask for `typed=true`. */
type Whole<T> = T extends null | undefined | TypedAttribute[] ? never : T extends (infer I)[] ? Whole<I>[] : T extends object ? { [K in keyof T]-?: Whole<T[K]> } : T;

/** What a checker gives. */
export type Checked<C> = C extends Check<infer T> ? T : never;

/** A list of numbers as a typed array: 100,000 rows without an object per row. */
export const column = <A extends Float64Array | Int32Array | Uint8Array | Uint16Array>(make: new (n: number) => A, rows: () => number): Check<A> => (v, at) => {
  if (!Array.isArray(v)) throw new ShapeError(at, "a list", v);
  if (v.length !== rows()) throw new ShapeError(at, `${rows()} rows (it has ${v.length})`, v);
  const out = new make(v.length);
  for (let i = 0; i < v.length; i++) {
    const x = v[i] as unknown;
    if (typeof x === "number") out[i] = x;
    else if (typeof x === "boolean") out[i] = x ? 1 : 0;
    else throw new ShapeError(`${at}[${i}]`, "a number", x);
  }
  return out;
};
