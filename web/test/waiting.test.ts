// @vitest-environment happy-dom

import { computed, signal } from '@preact/signals';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { Answered, Waiting } from '../src/session/protocol';

type Receive = (message: { answered: Answered; adopt: boolean }) => boolean;

const line = vi.hoisted(() => ({
  receive: undefined as unknown as Receive,
  reply: undefined as unknown as (kept: readonly Waiting[]) => void,
}));
vi.mock('../src/session/link', () => ({
  listen: ({ QUEUE_ANSWERED }: { QUEUE_ANSWERED: Receive }) => (line.receive = QUEUE_ANSWERED),
  ask: () => new Promise((resolve) => (line.reply = resolve)),
}));
const person = signal<string | null>(null);
vi.mock('../src/session/session', () => ({
  session: computed(() => ({ state: 'signed-in', person: { sub: person.value, name: '' }, ended: null })),
  subject: computed(() => person.value),
}));

const { conversations, removeAll, waiting } = await import('../src/chat/conversations');
const { lookAfter, tryNow } = await import('../src/chat/waiting');
lookAfter();

const HERS: Waiting = { key: 'k', sub: 'alice', question: 'Why?', asked: 0 };
const BODY = { response: 'Because.', source_nodes: [], classification: {}, bailiwick: { labels: 1, chunks: 1 }, receipt: 'r' };
const settled = () => new Promise((resolve) => setTimeout(resolve));
const shown = () => conversations.value.flatMap(({ turns }) => turns.value.map(({ value }) => [value.id, value.progress]));

beforeEach(() => {
  person.value = null;
  removeAll();
});

describe('the questions of one person', () => {
  test('are shown to her, and so are their answers', async () => {
    person.value = 'alice';
    line.reply([HERS]);
    await settled();
    expect(shown()).toEqual([['k', 'queued']]);
    expect(line.receive({ answered: { ...HERS, status: 200, body: BODY }, adopt: false })).toBe(true);
    expect(shown()).toEqual([['k', 'done']]);
  });

  test('bring no answer to somebody else', () => {
    person.value = 'bob';
    expect(line.receive({ answered: { ...HERS, status: 200, body: BODY }, adopt: true })).toBe(false);
    expect(shown()).toEqual([]);
  });

  test('are not shown to somebody who signed in while they were looked for', async () => {
    person.value = 'alice';
    const late = line.reply;
    person.value = 'bob';
    late([HERS]);
    await settled();
    expect(shown()).toEqual([]);
  });

  test('do not end those of somebody who signed in while they were asked', async () => {
    person.value = 'alice';
    const tried = tryNow();
    const late = line.reply;
    person.value = 'bob';
    waiting('his', 'How?');
    late([]);
    await tried;
    expect(shown()).toEqual([['his', 'queued']]);
  });
});
