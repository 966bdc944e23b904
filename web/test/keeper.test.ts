import { describe, expect, test, vi } from 'vitest';

import { NoReply, type Token } from '../src/session/protocol';
import { isCall, sendAs, withToken } from '../src/worker/attach';
import { Keeper, type AskPage } from '../src/worker/keeper';

const NOW = 1_000_000;

function token(name: string, sub = 'alice', seconds = 900): Token {
  return { token: name, sub, exp: NOW + seconds };
}

function keeper(ask: AskPage): { keeper: Keeper; asked: ReturnType<typeof vi.fn<AskPage>> } {
  const asked = vi.fn<AskPage>(ask);
  return { keeper: new Keeper(asked, () => NOW), asked };
}

describe('the keeper', () => {
  test('gives a page its token without asking', async () => {
    const { keeper: kept, asked } = keeper(async () => null);
    kept.set('tab', token('t1'));
    expect((await kept.for('tab'))?.token).toBe('t1');
    expect(asked).not.toHaveBeenCalled();
  });

  test('asks once after a restart, however many requests need it', async () => {
    const { keeper: kept, asked } = keeper(async () => token('t1'));
    const all = await Promise.all(Array.from({ length: 10 }, () => kept.for('tab')));
    expect(all.map((one) => one?.token)).toEqual(Array(10).fill('t1'));
    expect(asked).toHaveBeenCalledTimes(1);
  });

  test('asks for a fresh one when it is about to end', async () => {
    const { keeper: kept, asked } = keeper(async () => token('t2'));
    kept.set('tab', token('t1', 'alice', 29));
    expect((await kept.for('tab'))?.token).toBe('t2');
    expect(asked).toHaveBeenCalledWith('tab', false);
  });

  test('gives nobody the token of another page’s person', async () => {
    const { keeper: kept } = keeper(async (page) => (page === 'bob' ? token('b', 'bob') : null));
    kept.set('alice', token('a'));
    expect(await kept.for('stranger')).toBeNull();
    expect((await kept.for('bob'))?.sub).toBe('bob');
  });

  test('has nothing when the page does not reply', async () => {
    const { keeper: kept } = keeper(() => Promise.reject(new NoReply('late')));
    expect(await kept.for('tab')).toBeNull();
  });

  test('does not keep a reply that comes after the sign-out', async () => {
    let reply: (token: Token) => void = () => undefined;
    const { keeper: kept } = keeper(() => new Promise((resolve) => (reply = resolve)));
    const late = kept.for('tab');
    kept.clear();
    reply(token('t1'));
    expect(await late).toBeNull();
  });

  test('shows its token to nobody who looks at it', () => {
    const { keeper: kept } = keeper(async () => null);
    kept.set('tab', token('very-secret'));
    expect(JSON.stringify(kept)).not.toContain('very-secret');
  });
});

describe('attaching', () => {
  const origin = 'https://bailiwick.test';

  test.each([
    [`${origin}/api/me`, true],
    [`${origin}/app-config.json`, false],
    [`${origin}/apistle`, false],
    ['https://elsewhere.test/api/me', false],
    ['http://bailiwick.test/api/me', false],
  ])('%s: %s', (url, expected) => expect(isCall(new Request(url), origin)).toBe(expected));

  test('never happens to a navigation', () => {
    const navigation = { url: `${origin}/api/me`, mode: 'navigate' } as Request;
    expect(isCall(navigation, origin)).toBe(false);
  });

  test('drops what the page put there itself', () => {
    const forged = new Request(`${origin}/api/me`, { headers: { authorization: 'Bearer forged' } });
    expect(withToken(forged, null).headers.get('authorization')).toBeNull();
    expect(withToken(forged, token('t')).headers.get('authorization')).toBe('Bearer t');
  });

  const question = () => new Request(`${origin}/api/rag/query`, { method: 'POST', body: '{"query":"Why?"}' });

  /** A server that takes only these tokens, and notes what it was sent. */
  function server(...good: string[]) {
    const seen: string[] = [];
    const send = async (request: Request) => {
      seen.push(`${request.headers.get('authorization')} ${await request.text()}`);
      return new Response(null, { status: good.some((one) => request.headers.get('authorization') === `Bearer ${one}`) ? 200 : 401 });
    };
    return { seen, send };
  }

  test('tries once more with a renewed token, and the same body', async () => {
    const { keeper: kept, asked } = keeper(async (_, force) => token(force ? 'new' : 'old'));
    const { seen, send } = server('new');
    const response = await sendAs('tab', question(), kept, send);
    expect(response.status).toBe(200);
    expect(seen).toEqual(['Bearer old {"query":"Why?"}', 'Bearer new {"query":"Why?"}']);
    expect(asked.mock.calls.map(([, force]) => force)).toEqual([false, true]);
  });

  test('hands a second 401 on, and does not go round', async () => {
    const { keeper: kept } = keeper(async (_, force) => token(force ? 'new' : 'old'));
    const { seen, send } = server();
    expect((await sendAs('tab', question(), kept, send)).status).toBe(401);
    expect(seen).toHaveLength(2);
  });

  test('does not try again with the token that was refused', async () => {
    const { keeper: kept } = keeper(async () => token('old'));
    const { seen, send } = server();
    expect((await sendAs('tab', question(), kept, send)).status).toBe(401);
    expect(seen).toHaveLength(1);
  });

  test('renews once for all requests that were refused together', async () => {
    const { keeper: kept, asked } = keeper(async (_, force) => token(force ? 'new' : 'old'));
    const { send } = server('new');
    const all = await Promise.all([1, 2, 3, 4].map(() => sendAs('tab', question(), kept, send)));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(asked.mock.calls.filter(([, force]) => force)).toHaveLength(1);
  });
});
