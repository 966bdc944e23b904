import { beforeEach, describe, expect, test, vi } from 'vitest';

import { problem } from '../src/api/problem';
import type { Asked, Piece } from '../src/chat/answer';
import { again, begin, conversations, edit, receive, remove, removeAll, stop, waiting, type Turn } from '../src/chat/conversations';

const state = vi.hoisted(() => ({ answer: undefined as unknown as (asked: Asked) => AsyncGenerator<Piece>, withdrawn: [] as string[] }));
vi.mock('../src/chat/answer', async (original) => ({
  ...(await original<typeof import('../src/chat/answer')>()),
  ask: (asked: Asked) => state.answer(asked),
}));
vi.mock('../src/session/link', () => ({ ask: async (_: 'QUEUE_DROP', { key }: { key: string }) => void state.withdrawn.push(key) }));
vi.mock('../src/session/session', () => ({
  session: { peek: () => ({ state: 'signed-in', person: { sub: 'alice', name: 'Alice' }, ended: null }) },
}));

const SOURCES = { source_nodes: [], classification: {}, bailiwick: { labels: 1, chunks: 1 }, receipt: 'r' };
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

/** An answer that says these pieces, and then ends so. */
function says(...pieces: string[]): (asked: Asked) => AsyncGenerator<Piece> {
  return async function* () {
    yield { kind: 'sources', sources: SOURCES };
    for (const text of pieces) yield { kind: 'text', text };
  };
}

/** An answer that says a word and then waits until it is stopped. */
async function* endless({ signal }: Asked): AsyncGenerator<Piece> {
  yield { kind: 'text', text: 'Well' };
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError'))));
}

async function asked(question = 'Why?') {
  const conversation = begin(question);
  await settled();
  const turn = conversation.turns.value[0];
  if (!turn) throw new Error('no turn');
  return { conversation, turn };
}

beforeEach(() => {
  removeAll();
  state.withdrawn.length = 0;
  state.answer = says('Because ', 'it is.');
});

describe('a conversation', () => {
  test('holds the question and the whole answer, newest first', async () => {
    const { turn } = await asked('One?');
    await asked('Two?');
    expect(turn.value).toMatchObject({ progress: 'done', text: 'Because it is.', sources: SOURCES, problem: null });
    expect(conversations.value.map(({ title }) => title.value)).toEqual(['Two?', 'One?']);
  });

  test('keeps what arrived when the answer is stopped', async () => {
    state.answer = endless;
    const { turn } = await asked();
    expect(turn.value.progress).toBe('answering');
    stop(turn);
    await settled();
    expect(turn.value).toMatchObject({ progress: 'stopped', text: 'Well', problem: null });
  });

  test('keeps what arrived when the answer breaks off, and says why', async () => {
    state.answer = async function* () {
      yield { kind: 'text', text: 'Half' } as const;
      throw problem('cut');
    };
    const { turn } = await asked();
    expect(turn.value).toMatchObject({ progress: 'failed', text: 'Half', problem: { kind: 'cut' } });
  });

  test('asked again, shows nothing of the try before', async () => {
    state.answer = endless;
    const { turn } = await asked();
    const { id } = turn.value;
    state.answer = says('Because.');
    again(turn);
    expect(turn.value.text).toBe('');
    await settled();
    expect(turn.value).toMatchObject({ id, progress: 'done', text: 'Because.' });
  });

  test('goes on from an edited question, without what followed from the old one', async () => {
    const { conversation, turn } = await asked('Wy?');
    edit(conversation, turn, 'Why?');
    await settled();
    expect(conversation.turns.value.map((one) => one.value.question)).toEqual(['Why?']);
    expect(conversation.title.value).toBe('Why?');
  });

  test('that is removed stops asking', async () => {
    let stopped = false;
    state.answer = async function* (given) {
      given.signal.addEventListener('abort', () => (stopped = true));
      yield* endless(given);
    };
    const { conversation } = await asked();
    remove(conversation);
    expect(stopped).toBe(true);
    expect(conversations.value).toEqual([]);
  });
});

describe('a question that waited', () => {
  const queuedIn = async () => {
    state.answer = async function* () {
      yield { kind: 'queued' } as const;
    };
    const { conversation, turn } = await asked();
    expect(turn.value.progress).toBe('queued');
    return { conversation, turn };
  };
  const queued = async () => (await queuedIn()).turn;
  const came = (turn: Turn, status: number, body: unknown) => ({ key: turn.id, sub: 'alice', question: turn.question, asked: 0, status, body });

  test('gets its answer in its place', async () => {
    const turn = await queued();
    expect(receive(came(turn.value, 200, { response: 'Because.', ...SOURCES }), false)).toBe(true);
    expect(turn.value).toMatchObject({ progress: 'done', text: 'Because.', sources: SOURCES });
  });

  test.each([
    [400, { detail: 'query: write a question' }, 'refused'],
    [200, { response: 7 }, 'malformed'],
  ])('with %i and %j fails as %s', async (status, body, kind) => {
    const turn = await queued();
    receive(came(turn.value, status, body), false);
    expect(turn.value).toMatchObject({ progress: 'failed', problem: { kind } });
  });

  test('is not answered over an answer that is there', async () => {
    const turn = await queued();
    state.answer = says('Mine.');
    again(turn);
    await settled();
    expect(receive(came(turn.value, 200, { response: 'Late.', ...SOURCES }), false)).toBe(true);
    expect(turn.value.text).toBe('Mine.');
  });

  test('is withdrawn when it is stopped, removed with its conversation, or cut off by an edit', async () => {
    const { turn } = await queuedIn();
    stop(turn);
    expect(turn.value.progress).toBe('stopped');
    const removed = await queuedIn();
    remove(removed.conversation);
    const edited = await queuedIn();
    edit(edited.conversation, edited.turn, 'How?');
    expect(state.withdrawn).toEqual([turn, removed.turn, edited.turn].map(({ value }) => value.id));
  });

  test('begins a conversation only where it is adopted', async () => {
    const lost = came({ id: 'k', question: 'Why?' } as Turn, 200, { response: 'Because.', ...SOURCES });
    expect(receive(lost, false)).toBe(false);
    expect(conversations.value).toEqual([]);
    expect(receive(lost, true)).toBe(true);
    expect(conversations.value[0]?.turns.value[0]?.value).toMatchObject({ progress: 'done', text: 'Because.' });
    expect(waiting('k', 'Why?')).toBe(conversations.value[0]?.turns.value[0]);
  });
});
