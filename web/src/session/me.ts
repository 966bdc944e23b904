// How the server sees the person who is signed in.

import { effect, signal } from '@preact/signals';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { expires, subject } from './session';

export type Me = components['schemas']['Me'];

/** What `/api/me` said last; `null` until it did. */
export const me = signal<Me | null>(null);

/** Begins to keep {@link me} true: after sign-in and each renewal, and when the page is looked at again. */
export function watchMe(): void {
  // What it said of somebody else.
  subject.subscribe(() => (me.value = null));
  effect(() => {
    // A renewed token may carry other claims.
    if (subject.value !== null && expires.value !== null) void look();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && subject.peek() !== null) void look();
  });
}

async function look(): Promise<void> {
  const asker = subject.peek();
  try {
    const seen = await call('get', '/api/me');
    if (subject.peek() === asker) me.value = seen;
  } catch {
    // Offline or refused: both are told where it matters, at the next question.
  }
}
