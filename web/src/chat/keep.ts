// Keeps conversations on this device, if the person wants that; until she signs out.

import { effect, signal } from '@preact/signals';
import type { DBSchema, IDBPDatabase } from 'idb';

import { Problem, type Kind } from '../api/problem';
import { subject, whenLeaving } from '../session/session';
import type { Sources } from './answer';
import { conversation, conversations, find, remove, removeAll, type Conversation, type Progress } from './conversations';

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

/** Her other tabs hear whether she consents, and what she removed: each of them could write it again. */
type News = { readonly sub: string } & ({ readonly kept: boolean } | { readonly removed: string });

const tabs = new BroadcastChannel('bailiwick-kept');
/** The conversations that were here since the page was loaded, also those that she removed. */
const held = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Begins to look after what is kept. */
export function lookAfterKept(): void {
  whenLeaving(async () => {
    removeAll();
    held.clear();
    consent(false);
  });
  tabs.onmessage = ({ data }: MessageEvent<News>) => {
    if (data.sub !== subject.peek()) return;
    if ('kept' in data) {
      consent(data.kept);
      return;
    }
    const one = find(data.removed);
    if (one) remove(one);
  };
  subject.subscribe((sub) => {
    looked.value = false;
    if (sub !== null) void load(sub).finally(() => (looked.value = true));
  });
  effect(() => {
    // Reading each of them is what subscribes to their changes.
    const now = conversations.value.map(frozen);
    for (const { id } of now) held.add(id);
    if (!kept.value) return;
    clearTimeout(timer);
    timer = setTimeout(() => void save(now), CALM);
  });
}

/** Consents, or takes the consent back and removes what was kept. */
export async function keep(wanted: boolean): Promise<void> {
  const sub = subject.peek();
  if (sub === null) return;
  consent(wanted);
  tabs.postMessage({ sub, kept: wanted } satisfies News);
  if (wanted) await save(conversations.peek().map(frozen));
}

/** Removes a conversation, here and in her other tabs. */
export function forget(one: Conversation): void {
  remove(one);
  const sub = subject.peek();
  if (sub !== null) tabs.postMessage({ sub, removed: one.id } satisfies News);
}

/** Every tab removes what was kept, because each could have written last. */
function consent(given: boolean): void {
  clearTimeout(timer);
  kept.value = given;
  if (!given) destroy();
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
  if (!found || sub !== subject.peek()) return;
  const known = new Set(conversations.peek().map(({ id }) => id));
  conversations.value = [...conversations.peek(), ...found.filter(({ id }) => !known.has(id)).map(thawed)];
  kept.value = true;
}

/** Writes what is here, beside what only her other tabs have. */
async function save(now: KeptConversation[]): Promise<void> {
  const sub = subject.peek();
  const wanted = () => kept.peek() && sub === subject.peek();
  if (sub === null || !wanted()) return;
  const opened = await database();
  // She may have changed her mind, or left, while it was opened; it may then have been made anew.
  if (wanted()) {
    const change = opened.transaction('people', 'readwrite');
    const others = ((await change.store.get(sub)) ?? []).filter(({ id }) => !held.has(id));
    await change.store.put([...now, ...others].sort((one, other) => other.began - one.began), sub);
    await change.done;
  }
  opened.close();
  if (!wanted()) destroy();
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
