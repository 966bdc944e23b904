// What a screen reader says: finished sentences, not every token.

import { signal } from '@preact/signals';

/** The text of the page's one live region. */
export const said = signal('');

/** Text that was announced of an answer under way, by the answer's id: up to which character. */
const heard = new Map<string, number>();

/** Announces something at once. */
export function announce(text: string): void {
  said.value = plain(text);
}

/** Announces the sentences of a growing answer that are finished by now. */
announce.growing = (id: string, text: string): void => {
  const from = heard.get(id) ?? 0;
  const to = endOfSentences(text);
  if (to <= from) return;
  heard.set(id, to);
  announce(text.slice(from, to));
};

/** Announces the rest of an answer. */
announce.finished = (id: string, text: string): void => {
  const from = heard.get(id) ?? 0;
  heard.delete(id);
  if (text.length > from) announce(text.slice(from));
};

/** Where the last finished sentence ends; its citations belong to it. */
export function endOfSentences(text: string): number {
  let end = 0;
  for (const match of text.matchAll(/[.!?](?:\s*\[\d+\])*(?=\s)|\n/g)) end = match.index + match[0].length;
  return end;
}

function plain(text: string): string {
  return text.replace(/\[(\d+)\]/g, '(source $1)').replace(/[#*_`>]+/g, '').trim();
}
