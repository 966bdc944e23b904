// The page's side of the questions that wait for the network.

import { problem } from '../api/problem';
import { ask, listen } from '../session/link';
import type { Waiting } from '../session/protocol';
import { session, subject } from '../session/session';
import { allTurns, receive, waiting } from './conversations';

/** How often an open page tries again by itself, in milliseconds; the server may be down without the network being so. */
const EVERY = 15_000;

/** Begins to look after the questions that wait. */
export function lookAfter(): void {
  listen({
    // It may have been asked for somebody who was signed in here when the worker began.
    QUEUE_ANSWERED: ({ answered, adopt }) => answered.sub === subject.peek() && receive(answered, adopt),
  });
  addEventListener('online', () => void tryNow());
  setInterval(() => {
    if (document.visibilityState === 'visible' && someWait()) void tryNow();
  }, EVERY);
  subject.subscribe((sub) => {
    if (sub !== null) void recall(sub);
  });
}

/** Lets the worker ask what waits. Resolves to whether nothing does any longer. */
export async function tryNow(): Promise<boolean> {
  const now = session.peek();
  if (now.state !== 'signed-in' || now.ended !== null) return false;
  const { sub } = now.person;
  const kept = await ask('QUEUE_REPLAY', { sub });
  if (sub === subject.peek()) settle(kept);
  return kept?.length === 0;
}

/** After a reload: shows the questions that still wait, and tries to ask them. */
async function recall(sub: string): Promise<void> {
  const kept = await ask('QUEUE_STATE', { sub });
  if (!kept || kept.length === 0 || sub !== subject.peek()) return;
  for (const { key, question } of kept) waiting(key, question);
  await tryNow();
}

function someWait(): boolean {
  return allTurns().some((turn) => turn.peek().progress === 'queued');
}

/** A question that is shown as waiting and is not: it was kept for too long, or the worker died over it. */
function settle(kept: readonly Waiting[] | null): void {
  if (!kept) return;
  for (const turn of allTurns()) {
    const { id, progress } = turn.peek();
    if (progress === 'queued' && !kept.some(({ key }) => key === id)) {
      turn.value = { ...turn.peek(), progress: 'failed', problem: problem('expired') };
    }
  }
}
