import { beforeEach, describe, expect, test } from 'vitest';

import type { Answered, Token } from '../src/session/protocol';
import { Keeper } from '../src/worker/keeper';
import { Questions, StillWaiting, type Entry, type Store } from '../src/worker/questions';

/** What workbox keeps in IndexedDB, here in memory. */
class Kept implements Store {
  entries: Entry[] = [];
  async pushRequest(entry: Entry) {
    this.entries.push(entry);
  }
  async shiftRequest() {
    return this.entries.shift();
  }
  async getAll() {
    return [...this.entries];
  }
}

const FAR = 9e9;
let store: Kept;
let people: Map<string, Token>;
let delivered: Answered[];
let seen: Request[];
let server: (request: Request) => Promise<Response>;
let questions: Questions;
/** The page that shows what was asked; `null`: every page does. */
let shows: string | null;
let told: string[];

beforeEach(() => {
  store = new Kept();
  people = new Map([['tab', { token: 'fresh', sub: 'alice', exp: FAR }]]);
  delivered = [];
  shows = null;
  told = [];
  seen = [];
  server = async () => Response.json({ response: 'Because.' });
  const keeper = new Keeper(async (page) => people.get(page) ?? null);
  questions = new Questions(store, keeper, {
    pages: async () => [...people.keys()],
    deliver: async (page, answered, adopt) => {
      if (shows !== null && page !== shows && !adopt) return false;
      delivered.push(answered);
      told.push(page);
      return true;
    },
    send: (request) => {
      seen.push(request);
      return server(request);
    },
  });
});

function question(text: string, key = text, sub = 'alice'): Request {
  return new Request('https://bailiwick.test/api/rag/query', {
    method: 'POST',
    headers: { accept: 'text/event-stream', 'x-queue': encodeURIComponent(sub), 'idempotency-key': key, authorization: 'Bearer page' },
    body: JSON.stringify({ query: text }),
  });
}

const waitingTexts = async (sub = 'alice') => (await questions.of(sub)).map(({ question: text }) => text);

describe('questions that wait', () => {
  test('are kept without a token, and once', async () => {
    const response = await questions.keep(question('Why?'));
    await questions.keep(question('Why?'));
    expect(response.status).toBe(202);
    expect(store.entries).toHaveLength(1);
    expect(store.entries[0]?.request.headers.has('authorization')).toBe(false);
    expect(await waitingTexts()).toEqual(['Why?']);
  });

  test('only if the page wants it: an administrator’s write is not', () => {
    expect(questions.wants(question('Why?'))).toBe(true);
    expect(questions.wants(new Request('https://bailiwick.test/api/admin/agents', { method: 'POST', body: '{}' }))).toBe(false);
  });

  test('are asked in their order with a fresh token, and the page gets the answers', async () => {
    for (const text of ['One?', 'Two?']) await questions.keep(question(text));
    await questions.replay();
    expect(seen.map((request) => request.headers.get('authorization'))).toEqual(['Bearer fresh', 'Bearer fresh']);
    expect(seen[0]?.headers.get('accept')).toBe('application/json');
    expect(delivered.map(({ key, status, body }) => [key, status, body])).toEqual([
      ['One?', 200, { response: 'Because.' }],
      ['Two?', 200, { response: 'Because.' }],
    ]);
    expect(store.entries).toEqual([]);
  });

  test('are for nobody but who asked', async () => {
    await questions.keep(question('Hers?', 'k1', 'zoë'));
    await questions.keep(question('Mine?', 'k2'));
    await expect(questions.replay()).rejects.toThrow(StillWaiting);
    expect(delivered.map(({ question: text }) => text)).toEqual(['Mine?']);
    expect(await waitingTexts('zoë')).toEqual(['Hers?']);
    expect(await waitingTexts()).toEqual([]);
  });

  test('stay while nobody is signed in', async () => {
    await questions.keep(question('Why?'));
    people.clear();
    await expect(questions.replay()).rejects.toThrow(StillWaiting);
    expect(seen).toEqual([]);
    expect(await waitingTexts()).toEqual(['Why?']);
  });

  test.each([401, 429, 500, 503])('stay on %i, with their age', async (status) => {
    await questions.keep(question('Why?'));
    const before = store.entries[0];
    if (before) before.timestamp = 7;
    server = async () => new Response(null, { status });
    await expect(questions.replay()).rejects.toThrow(StillWaiting);
    expect(store.entries[0]?.timestamp).toBe(7);
    expect(delivered).toEqual([]);
  });

  test('stay in their order when the server is gone, which is asked once', async () => {
    for (const text of ['One?', 'Two?', 'Three?']) await questions.keep(question(text));
    server = () => Promise.reject(new TypeError('Failed to fetch'));
    await expect(questions.replay()).rejects.toThrow(StillWaiting);
    expect(seen).toHaveLength(1);
    expect(await waitingTexts()).toEqual(['One?', 'Two?', 'Three?']);
  });

  test('are answered at the page that shows them, or else at another one of hers', async () => {
    people.set('other', { token: 'fresh', sub: 'alice', exp: FAR });
    await questions.keep(question('Why?'));
    shows = 'other';
    await questions.replay();
    await questions.keep(question('How?'));
    shows = 'closed meanwhile';
    await questions.replay();
    expect(told).toEqual(['other', 'tab']);
  });

  test('that are refused for good go, and the page hears it', async () => {
    await questions.keep(question('Why?'));
    server = async () => Response.json({ detail: 'query: write a question' }, { status: 400 });
    await questions.replay();
    expect(delivered).toMatchObject([{ key: 'Why?', status: 400 }]);
    expect(store.entries).toEqual([]);
  });

  test('are asked once, however often that is wanted', async () => {
    await questions.keep(question('Why?'));
    await Promise.all([questions.replay(), questions.replay(), questions.replay()]);
    expect(seen).toHaveLength(1);
  });

  test('can be withdrawn, and are gone after a sign-out', async () => {
    for (const text of ['One?', 'Two?', 'Three?']) await questions.keep(question(text));
    expect(await questions.drop('Two?')).toHaveLength(2);
    expect(await waitingTexts()).toEqual(['One?', 'Three?']);
    await questions.clear();
    expect(store.entries).toEqual([]);
  });
});
