import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { Answered, Token, Waiting } from '../src/session/protocol';
import { Keeper } from '../src/worker/keeper';
import { Questions, StillWaiting, type Entry, type Store } from '../src/worker/questions';

/** What workbox keeps in IndexedDB, here in memory. */
class Kept implements Store {
  entries: Entry[] = [];
  async pushRequest(entry: Entry) {
    this.entries.push(entry);
  }
  async getAll() {
    return [...this.entries];
  }
  async remove(which: (waiting: Waiting) => boolean) {
    this.entries = this.entries.filter(({ metadata }) => !which(metadata as Waiting));
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
let keeper: Keeper;

beforeEach(() => {
  store = new Kept();
  people = new Map([['tab', { token: 'fresh', sub: 'alice', exp: FAR }]]);
  delivered = [];
  shows = null;
  told = [];
  seen = [];
  server = async () => Response.json({ response: 'Because.' });
  keeper = new Keeper(async (page) => people.get(page) ?? null);
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

  describe('while one is asked', () => {
    let answer: () => void;
    let replayed: Promise<void>;

    beforeEach(async () => {
      for (const text of ['One?', 'Two?']) await questions.keep(question(text));
      server = () => new Promise((resolve) => (answer = () => resolve(Response.json({ response: 'Because.' }))));
      replayed = questions.replay();
      await vi.waitFor(() => expect(seen).toHaveLength(1));
      server = async () => Response.json({ response: 'Because.' });
    });

    test('are all still kept, so that a killed worker loses none', async () => {
      expect(await waitingTexts()).toEqual(['One?', 'Two?']);
      answer();
      await replayed;
      expect(store.entries).toEqual([]);
    });

    test('can be withdrawn, and then bring no answer', async () => {
      await questions.drop('One?');
      answer();
      await replayed;
      expect(delivered.map(({ key }) => key)).toEqual(['Two?']);
      expect(store.entries).toEqual([]);
    });

    test('are gone with a sign-out, and do not come back', async () => {
      await questions.clear();
      answer();
      await replayed;
      expect(seen).toHaveLength(1);
      expect(delivered).toEqual([]);
      expect(store.entries).toEqual([]);
    });

    test('are answered to nobody who signed in meanwhile', async () => {
      people.set('tab', { token: 'other', sub: 'bob', exp: FAR });
      keeper.clear();
      answer();
      await expect(replayed).rejects.toThrow(StillWaiting);
      expect(delivered).toEqual([]);
    });

    test('can be kept, and are asked the next time', async () => {
      await questions.keep(question('Three?'));
      answer();
      await expect(replayed).rejects.toThrow(StillWaiting);
      expect(await waitingTexts()).toEqual(['Three?']);
    });
  });

  test('kept at the moment of a sign-out are gone after it', async () => {
    let written: () => void = () => undefined;
    const push = store.pushRequest.bind(store);
    store.pushRequest = async (entry) => {
      await new Promise<void>((resolve) => (written = resolve));
      await push(entry);
    };
    const kept = questions.keep(question('Why?'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const cleared = questions.clear();
    written();
    await Promise.all([kept, cleared]);
    expect(store.entries).toEqual([]);
  });

  test('do not wait for a page that the browser froze', async () => {
    vi.useFakeTimers();
    const frozen = new Keeper((page) => (page === 'frozen' ? new Promise(() => undefined) : Promise.resolve(people.get(page) ?? null)));
    const deliver = vi.fn(async () => true);
    const asked = new Questions(store, frozen, { pages: async () => ['frozen', 'tab'], deliver, send: (request) => server(request) });
    await asked.keep(question('Why?'));
    const replayed = asked.replay();
    await vi.advanceTimersByTimeAsync(10_000);
    await replayed;
    expect(deliver).toHaveBeenCalledTimes(1);
    vi.useRealTimers();
  });
});
