// The passage that is open beside the answer.

import { signal, type Signal } from '@preact/signals';

import type { Turn } from './conversations';

/** A source of an answer, by its number from 1. */
export interface Shown {
  readonly turn: Signal<Turn>;
  readonly source: number;
}

/** What is open, if anything is. */
export const shown = signal<Shown | null>(null);

let from: HTMLElement | null = null;

/** Opens a source. */
export function open(turn: Signal<Turn>, source: number): void {
  if (shown.peek() === null) from = document.activeElement as HTMLElement | null;
  shown.value = { turn, source };
}

/** Closes it, and goes back to where it was opened. */
export function close(): void {
  if (shown.peek() === null) return;
  shown.value = null;
  from?.focus();
  from = null;
}
