// Where an answer cites which source, and what it took from it.

/** A piece of an answer: plain text, or a citation of the n-th source, from 1. */
export type Part = { readonly text: string } | { readonly cites: number };

/** Cuts text at its citations. A number without a source stays text. */
export function parts(text: string, sources: number): Part[] {
  const found: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(/\s*\[(\d+)\]/g)) {
    const cites = Number(match[1]);
    if (cites < 1 || cites > sources) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index) });
    found.push({ cites });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

/** The sentences of the answer that cite this source. */
export function quotes(answer: string, source: number): string[] {
  const found: string[] = [];
  for (const sentence of answer.split(/(?<=\])\s+(?!\[)|\n+/)) {
    const cites = [...sentence.matchAll(/\[(\d+)\]/g)].some((match) => Number(match[1]) === source);
    const quote = sentence.replace(/\s*\[\d+\]/g, '').trim();
    if (cites && quote !== '') found.push(quote);
  }
  return found;
}

/** Cuts text where it holds one of the quotes. */
export function marked(text: string, quoted: readonly string[]): { readonly text: string; readonly quoted: boolean }[] {
  const places = quoted.map((quote) => ({ from: text.indexOf(quote), length: quote.length }));
  const found = places.filter(({ from }) => from >= 0).sort((one, other) => one.from - other.from);
  const cut: { text: string; quoted: boolean }[] = [];
  let at = 0;
  for (const { from, length } of found) {
    if (from < at) continue;
    if (from > at) cut.push({ text: text.slice(at, from), quoted: false });
    cut.push({ text: text.slice(from, from + length), quoted: true });
    at = from + length;
  }
  if (at < text.length) cut.push({ text: text.slice(at), quoted: false });
  return cut;
}
