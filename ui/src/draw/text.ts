/** Text as people read it. Pure. */

// A terminal's control sequences: colours, cursor moves, titles.
const TERMINAL = /\u001b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Programs that log to a terminal colour their lines; here the sequences would be noise. What is stored keeps them. */
export function withoutColours(text: string): string {
  return text.includes("\u001b") ? text.replace(TERMINAL, "") : text;
}
