import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Token } from '../src/session/protocol';
import { NotRenewed, PAUSES, Renewal } from '../src/session/renewal';

const now = () => Date.now() / 1000;
const token = (name: string, seconds = 900): Token => ({ token: name, sub: 'alice', exp: now() + seconds });

let renew: ReturnType<typeof vi.fn<() => Promise<Token>>>;
let renewed: string[];
let refused: number;
let renewal: Renewal;

beforeEach(() => {
  vi.useFakeTimers();
  renew = vi.fn(async () => token('next'));
  renewed = [];
  refused = 0;
  renewal = new Renewal(renew, ({ token: name }) => void renewed.push(name), () => (refused += 1));
});

afterEach(() => vi.useRealTimers());

describe('renewal', () => {
  test('happens a minute before the token ends, again and again', async () => {
    renewal.begin(token('first'));
    await vi.advanceTimersByTimeAsync(839_000);
    expect(renewed).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(renewed).toEqual(['next']);
    await vi.advanceTimersByTimeAsync(841_000);
    expect(renewed).toEqual(['next', 'next']);
  });

  test('is shared by all who ask meanwhile', async () => {
    renewal.begin(token('first'));
    await Promise.all([renewal.token(true), renewal.token(true), renewal.token(true)]);
    expect(renew).toHaveBeenCalledTimes(1);
  });

  test('comes before use when the timer slept with the computer', async () => {
    renewal.begin(token('first'));
    vi.setSystemTime(Date.now() + 880_000);
    expect((await renewal.token())?.token).toBe('next');
  });

  test('is tried a few times when nobody answers, and then waits to be asked', async () => {
    renew.mockRejectedValue(new NotRenewed(false));
    renewal.begin(token('first', 60));
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(renew).toHaveBeenCalledTimes(1 + PAUSES.length);
    expect(refused).toBe(0);
    renew.mockImplementation(async () => token('late'));
    expect((await renewal.token())?.token).toBe('late');
  });

  test('is not tried again when the provider says no', async () => {
    renew.mockRejectedValue(new NotRenewed(true));
    renewal.begin(token('first', 60));
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(renew).toHaveBeenCalledTimes(1);
    expect(refused).toBe(1);
  });

  test('that ends after the sign-out brings nothing back', async () => {
    let bring: (token: Token) => void = () => undefined;
    renew.mockImplementation(() => new Promise((resolve) => (bring = resolve)));
    renewal.begin(token('first'));
    const late = renewal.token(true);
    renewal.end();
    bring(token('next'));
    await expect(late).rejects.toThrow(NotRenewed);
    expect(renewed).toEqual([]);
    expect(await renewal.token()).toBeNull();
  });

  test('of a token that outlives the browser’s timers does not happen at once', async () => {
    renewal.begin(token('first', 60 * 24 * 3600));
    await vi.advanceTimersByTimeAsync(1000);
    expect(renew).not.toHaveBeenCalled();
  });

  test.each([1, 2, 10, 30, 60, 90, 119, 121, 900])('of tokens of %i s happens at most once in half of their life', async (life) => {
    renew.mockImplementation(async () => token('next', life));
    renewal.begin(token('first', life));
    const seconds = 600;
    for (let second = 0; second < seconds; second += 1) {
      // The person asks, and the server refuses each token.
      await renewal.token(true).catch(() => undefined);
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(renew.mock.calls.length).toBeLessThanOrEqual(seconds / (life / 2) + 1);
    expect(refused).toBe(0);
  });

  test('of a token that the server refuses gives the same one until half of its life is over', async () => {
    renew.mockImplementation(async () => token(`next-${renew.mock.calls.length}`, 60));
    renewal.begin(token('first', 60));
    expect((await renewal.token(true))?.token).toBe('next-1');
    expect((await renewal.token(true))?.token).toBe('next-1');
    await vi.advanceTimersByTimeAsync(31_000);
    expect((await renewal.token())?.token).toBe('next-2');
  });

  test.each([0, -5])('of tokens that have ended on their way (%i s) is tried once', async (life) => {
    renew.mockImplementation(async () => token('next', life));
    renewal.begin(token('first', life));
    await vi.advanceTimersByTimeAsync(100);
    for (let i = 0; i < 50; i += 1) await renewal.token().catch(() => undefined);
    expect(renew).toHaveBeenCalledTimes(1);
    expect(refused).toBe(1);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(renew).toHaveBeenCalledTimes(1);
  });

  test('that fails is not tried by each who asks', async () => {
    renew.mockRejectedValue(new NotRenewed(false));
    renewal.begin(token('first', 1));
    await vi.advanceTimersByTimeAsync(1_100);
    const calls = renew.mock.calls.length;
    for (let i = 0; i < 50; i += 1) await renewal.token().catch(() => undefined);
    expect(renew.mock.calls.length).toBe(calls);
  });
});
