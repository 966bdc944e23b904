// The page's side of the questions that wait for the network.

import { effect } from '@preact/signals';

import { problem } from '../api/problem';
import { ask, listen } from '../session/link';
import type { Waiting } from '../session/protocol';
import { session } from '../session/session';
import { allTurns, receive, waiting } from './conversations';

/** How often an open page tries again by itself, in milliseconds; the server may be down without the network being so. */
const EVERY = 15_000;

/** Begins to look after the questions that wait. */
export function lookAfter(): void {
  listen({
    QUEUE_ANSWERED: ({ answered, adopt }) => receive(answered, adopt),
  });
  addEventListener('online', () => void tryNow());
  setInterval(() => {
    if (document.visibilityState === 'visible' && someWait()) void tryNow();
  }, EVERY);
  const sub = () => (session.value.state === 'signed-in' ? session.value.person.sub : null);
  let last: string | null = null;
  effect(() => {
    const now = sub();
    if (now !== null && now !== last) void recall(now);
    last = now;
  });
}

/** Lets the worker ask what waits. Resolves to whether nothing does any longer. */
export async function tryNow(): Promise<boolean> {
  const now = session.peek();
  if (now.state !== 'signed-in' || now.ended) return false;
  const kept = await ask('QUEUE_REPLAY', { sub: now.person.sub });
  settle(kept);
  return kept?.length === 0;
}

/** Withdraws a question. */
export async function withdraw(key: string): Promise<void> {
  await ask('QUEUE_DROP', { key });
}

/** After a reload: shows the questions that still wait, and tries to ask them. */
async function recall(sub: string): Promise<void> {
  const kept = await ask('QUEUE_STATE', { sub });
  for (const { key, question } of kept ?? []) waiting(key, question);
  if (kept && kept.length > 0) await tryNow();
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
