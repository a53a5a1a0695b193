/** The words of a log query that should be marked in the lines: plain words and "phrases", not `key:value`, not `-without`. */
export function markedWords(query: string): string[] {
  const out: string[] = [];
  for (const m of query.matchAll(/(-?)(?:([\w.@/-]+):)?(?:"([^"]*)"?|(\S+))/g)) {
    const word = m[3] ?? m[4] ?? "";
    if (!m[1] && !m[2] && word.length > 1 && !/^(AND|OR|NOT)$/.test(word)) out.push(word);
  }
  return [...new Set(out)].sort((a, b) => b.length - a.length).slice(0, 20);
}


/** A pattern's template in parts: what its lines share, and null for what differs. */
export function templateParts(template: string): (string | null)[] {
  return template.split(/(<\*>)/).filter((part) => part !== "").map((part) => (part === "<*>" ? null : part));
}
