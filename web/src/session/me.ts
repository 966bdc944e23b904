// How the server sees the person who is signed in.

import { effect, signal } from '@preact/signals';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { expires, session } from './session';

export type Me = components['schemas']['Me'];

/** What `/api/me` said last; `null` until it did. */
export const me = signal<Me | null>(null);

/** Begins to keep {@link me} true: after sign-in and each renewal, and when the page is looked at again. */
export function watchMe(): void {
  effect(() => {
    const signedIn = session.value.state === 'signed-in';
    // A renewed token may carry other claims.
    if (signedIn && expires.value !== null) void look();
    if (!signedIn) me.value = null;
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && session.peek().state === 'signed-in') void look();
  });
}

async function look(): Promise<void> {
  const asker = session.peek();
  try {
    const seen = await call('get', '/api/me');
    if (session.peek() === asker) me.value = seen;
  } catch {
    // Offline or refused: both are told where it matters, at the next question.
  }
}
