import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { ask, type Piece } from '../src/chat/answer';
import type { Problem } from '../src/api/problem';

const sent = vi.hoisted(() => ({ respond: (request: Request): Promise<Response> => Promise.reject(new Error(`nothing answers ${request.url}`)) }));
vi.mock('../src/session/session', () => ({ authorized: (request: Request) => sent.respond(request) }));

const SOURCES = {
  source_nodes: [{ node: { id_: 'a#0', ref_doc_id: 'a', text: 'A.', metadata: {} }, score: 1 }],
  classification: {},
  bailiwick: { labels: 1, chunks: 1 },
  receipt: 'r',
};

function events(...written: [string, unknown][]): string {
  return written.map(([name, data]) => `event: ${name}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`).join('');
}

function stream(text: string): Response {
  return new Response(text, { headers: { 'content-type': 'text/event-stream' } });
}

/** What arrives, and what it ends with. */
async function hear(signal = new AbortController().signal): Promise<{ pieces: Piece[]; problem: Problem | null }> {
  const pieces: Piece[] = [];
  try {
    for await (const piece of ask({ question: 'Why?', key: 'k', sub: 'zoë', signal })) pieces.push(piece);
    return { pieces, problem: null };
  } catch (error) {
    return { pieces, problem: error as Problem };
  }
}

beforeEach(() => {
  // Requests need a whole address outside a browser.
  const Whole = Request;
  vi.stubGlobal(
    'Request',
    class extends Whole {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(typeof input === 'string' ? new URL(input, 'http://bailiwick.test') : input, init);
      }
    },
  );
});

afterEach(() => vi.unstubAllGlobals());

describe('asking', () => {
  test('sends the question, its key and whose it is, and no token', async () => {
    let seen: Request | null = null;
    sent.respond = async (request) => {
      seen = request;
      return stream(events(['sources', SOURCES], ['token', { text: 'Because ' }], ['token', { text: 'it is. [1]' }], ['done', {}]));
    };
    const { pieces, problem } = await hear();
    expect(problem).toBeNull();
    expect(pieces).toEqual([
      { kind: 'sources', sources: SOURCES },
      { kind: 'text', text: 'Because ' },
      { kind: 'text', text: 'it is. [1]' },
    ]);
    const request = seen as unknown as Request;
    expect(new URL(request.url).pathname).toBe('/api/rag/query');
    expect(request.headers.get('idempotency-key')).toBe('k');
    expect(request.headers.get('x-queue')).toBe('zo%C3%AB');
    expect(request.headers.get('authorization')).toBeNull();
    expect(await request.json()).toEqual({ query: 'Why?' });
  });

  test('hears that the question waits', async () => {
    sent.respond = async () => Response.json({}, { status: 202 });
    expect((await hear()).pieces).toEqual([{ kind: 'queued' }]);
  });

  test('keeps what arrived before the stream was cut', async () => {
    sent.respond = async () => stream(events(['sources', SOURCES], ['token', { text: 'Because' }]));
    const { pieces, problem } = await hear();
    expect(pieces).toHaveLength(2);
    expect(problem).toMatchObject({ kind: 'cut' });
  });

  test.each([
    ['no JSON', ['token', '{"text":'], 'malformed'],
    ['a token without text', ['token', { words: 'Because' }], 'malformed'],
    ['sources that are none', ['sources', { source_nodes: [{}] }], 'malformed'],
    ['an error of the model', ['error', { status: 503, detail: 'The language model does not answer.' }], 'unavailable'],
  ] as const)('tells %s in one sentence', async (_, event, kind) => {
    sent.respond = async () => stream(events(['sources', SOURCES], ['token', { text: 'Be' }], [event[0], event[1]], ['done', {}]));
    const { pieces, problem } = await hear();
    expect(pieces).toHaveLength(2);
    expect(problem).toMatchObject({ kind });
    expect(problem?.message).toMatch(/^[A-Z].*\.$/);
  });

  test('passes over events of a newer server', async () => {
    sent.respond = async () => stream(events(['thinking', { about: 'it' }], ['sources', SOURCES], ['done', {}]));
    expect(await hear()).toMatchObject({ pieces: [{ kind: 'sources' }], problem: null });
  });

  test.each([
    [401, 'signed-out'],
    [403, 'forbidden'],
    [429, 'too-many'],
    [500, 'failed'],
    [503, 'unavailable'],
    [400, 'refused'],
  ])('tells %i as %s, with a next step', async (status, kind) => {
    sent.respond = async () => Response.json({ status, detail: 'query: write a question' }, { status });
    const { problem } = await hear();
    expect(problem).toMatchObject({ kind, status });
    expect(problem?.message).toMatch(/^[A-Z].*\.$/);
  });

  test('tells how long to wait', async () => {
    sent.respond = async () => Response.json({}, { status: 429, headers: { 'retry-after': '7' } });
    expect((await hear()).problem?.message).toContain('in 7 seconds');
  });

  test('says that the server was not reached, whatever the browser calls it', async () => {
    sent.respond = async () => Promise.reject(new TypeError('Failed to fetch'));
    expect((await hear()).problem).toMatchObject({ kind: 'unreachable' });
  });

  test('makes no problem of being stopped', async () => {
    const controller = new AbortController();
    sent.respond = async () => {
      controller.abort();
      throw new DOMException('stopped', 'AbortError');
    };
    expect((await hear(controller.signal)).problem).toMatchObject({ name: 'AbortError' });
  });
});
