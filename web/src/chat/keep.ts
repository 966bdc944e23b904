// Keeps conversations on this device, if the person wants that; until she signs out.

import { effect, signal } from '@preact/signals';
import type { DBSchema, IDBPDatabase } from 'idb';

import { Problem, type Kind } from '../api/problem';
import { session, whenLeaving } from '../session/session';
import type { Sources } from './answer';
import { conversation, conversations, removeAll, type Conversation, type Progress } from './conversations';

/** Whether this person's conversations are kept on this device. Off until she says so. */
export const kept = signal(false);
/** Whether what is kept of this person was looked for, and is there if there was any. */
export const looked = signal(false);

const NAME = 'bailiwick-conversations';
/** How long after a change it is written, in milliseconds. */
const CALM = 500;

interface KeptTurn {
  id: string;
  question: string;
  progress: Progress;
  text: string;
  sources: Sources | null;
  problem: { kind: Kind; message: string; status: number } | null;
}

interface KeptConversation {
  id: string;
  began: number;
  turns: KeptTurn[];
}

interface Schema extends DBSchema {
  /** By `sub`. A person without an entry did not consent. */
  people: { key: string; value: KeptConversation[] };
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Begins to look after what is kept. */
export function lookAfterKept(): void {
  whenLeaving(async () => {
    clearTimeout(timer);
    removeAll();
    kept.value = false;
    destroy();
  });
  let last: string | null = null;
  effect(() => {
    const now = session.value.state === 'signed-in' ? session.value.person.sub : null;
    if (now !== last) looked.value = false;
    if (now !== null && now !== last) void load(now).finally(() => (looked.value = true));
    last = now;
  });
  effect(() => {
    // Reading each of them is what subscribes to their changes.
    const now = conversations.value.map(frozen);
    if (!kept.value) return;
    clearTimeout(timer);
    timer = setTimeout(() => void save(now), CALM);
  });
}

/** Consents, or takes the consent back and removes what was kept. */
export async function keep(wanted: boolean): Promise<void> {
  kept.value = wanted;
  clearTimeout(timer);
  if (wanted) await save(conversations.peek().map(frozen));
  else destroy();
}

async function database(): Promise<IDBPDatabase<Schema>> {
  // Most people keep nothing, and need not load what reads it.
  const { openDB } = await import(/* webpackChunkName: "idb" */ 'idb');
  return openDB<Schema>(NAME, 1, { upgrade: (made) => void made.createObjectStore('people') });
}

/** Removes everything, of whomever it is. */
function destroy(): void {
  indexedDB.deleteDatabase(NAME);
}

async function load(sub: string): Promise<void> {
  // Opening would make one.
  const exists = (await indexedDB.databases()).some(({ name }) => name === NAME);
  if (!exists) return;
  const opened = await database();
  const found = await opened.get('people', sub);
  opened.close();
  const now = session.peek();
  if (!found || now.state !== 'signed-in' || now.person.sub !== sub) return;
  const known = new Set(conversations.peek().map(({ id }) => id));
  conversations.value = [...conversations.peek(), ...found.filter(({ id }) => !known.has(id)).map(thawed)];
  kept.value = true;
}

async function save(now: KeptConversation[]): Promise<void> {
  const person = session.peek();
  if (person.state !== 'signed-in' || !kept.peek()) return;
  const opened = await database();
  await opened.put('people', now, person.person.sub);
  opened.close();
}

function frozen({ id, began, turns }: Conversation): KeptConversation {
  return {
    id,
    began,
    turns: turns.value.map(({ value: { problem, ...turn } }) => ({
      ...turn,
      problem: problem && { kind: problem.kind, message: problem.message, status: problem.status },
    })),
  };
}

function thawed({ id, began, turns }: KeptConversation): Conversation {
  const whole = turns.map((turn) => ({
    ...turn,
    // What was under way ended with its page.
    progress: turn.progress === 'asking' || turn.progress === 'answering' ? ('stopped' as const) : turn.progress,
    problem: turn.problem && new Problem(turn.problem.kind, turn.problem.message, turn.problem.status),
  }));
  return conversation(id, began, whole);
}
