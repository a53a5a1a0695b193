/** The little of Node that tests use; its whole types would change the meaning of the browser's own (`setTimeout`). */
declare module "node:test" {
  export default function test(name: string, run: () => void | Promise<void>): void;
}

declare module "node:assert/strict" {
  const assert: {
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    ok(value: unknown, message?: string): void;
    match(text: string, pattern: RegExp): void;
    throws(run: () => unknown, pattern: RegExp): void;
  };
  export default assert;
}
