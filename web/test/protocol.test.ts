import { describe, expect, test, vi } from 'vitest';

import { answer, NoReply, tell, VERSION, type Handlers, type Incoming, type Party, type ToPage } from '../src/session/protocol';

/** A party at the other end of a line, with these handlers. */
function party(handlers: Partial<Handlers<ToPage>>, forge: (message: unknown) => unknown = (message) => message): Party {
  return {
    postMessage: (message, transfer) => {
      const event: Incoming = { data: forge(message), ports: transfer as MessagePort[], source: null };
      void answer(handlers as Handlers<ToPage>, event);
    },
  };
}

const TOKEN = { token: 't', sub: 'alice', exp: 9e9 };

describe('the protocol', () => {
  test('brings a message one reply', async () => {
    const other = party({ TOKEN_REQUEST: ({ force }) => ({ ...TOKEN, sub: String(force) }) });
    await expect(tell(other, 'TOKEN_REQUEST', { force: true })).resolves.toEqual({ ...TOKEN, sub: 'true' });
  });

  test('waits for a slow handler, but not for ever', async () => {
    vi.useFakeTimers();
    const told = tell(party({ TOKEN_REQUEST: () => new Promise(() => undefined) }), 'TOKEN_REQUEST', { force: false });
    const over = expect(told).rejects.toThrow(NoReply);
    await vi.advanceTimersByTimeAsync(3001);
    await over;
    vi.useRealTimers();
  });

  test('refuses what it does not know', async () => {
    await expect(tell(party({}), 'AUTH_REQUIRED', null)).rejects.toThrow('not known here');
  });

  test('refuses another version', async () => {
    const newer = party({ AUTH_REQUIRED: () => null }, (message) => ({ ...(message as object), bailiwick: VERSION + 1 }));
    await expect(tell(newer, 'AUTH_REQUIRED', null)).rejects.toThrow('another version');
  });

  test('tells that a handler failed, and not why', async () => {
    const failing = party({
      TOKEN_REQUEST: () => {
        throw new Error('secret');
      },
    });
    const error: unknown = await tell(failing, 'TOKEN_REQUEST', { force: false }).catch((thrown: unknown) => thrown);
    expect(String(error)).not.toContain('secret');
  });

  test('leaves messages of others alone', async () => {
    const { port1, port2 } = new MessageChannel();
    const replied = vi.fn();
    port1.onmessage = replied;
    await answer({} as Handlers<ToPage>, { data: 'hello', ports: [port2], source: null });
    await answer({} as Handlers<ToPage>, { data: null, ports: [port2], source: null });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(replied).not.toHaveBeenCalled();
    port1.close();
  });
});
