// Questions that were asked without a network, and what becomes of them.
//
// The original request is kept, which never held a token; the token is attached when it is sent.

import type { Answered, Token, Waiting } from '../session/protocol';
import type { Keeper } from './keeper';
import { withToken } from './attach';

/** Marks a request that may wait; its value is the person's `sub`, percent-encoded. */
export const QUEUE = 'x-queue';
/** Names the question, so that it is neither kept nor shown twice. */
export const KEY = 'idempotency-key';
/** How long a question waits, in minutes. It is personal data on a disk. */
export const RETENTION = 60;

/** A request that waits, as workbox keeps it. */
export interface Entry {
  request: Request;
  timestamp?: number;
  metadata?: object;
}

/** What is used of workbox's `Queue`. */
export interface Store {
  pushRequest(entry: Entry): Promise<void>;
  shiftRequest(): Promise<Entry | undefined>;
  getAll(): Promise<Entry[]>;
}

/** What the queue needs of the worker. */
export interface Surroundings {
  /** Ids of the pages that are open. */
  pages(): Promise<readonly string[]>;
  /** Tells a page; rejects if it is gone. */
  deliver(page: string, answered: Answered): Promise<void>;
  send(request: Request): Promise<Response>;
}

/** Some questions could not be sent yet, so the browser shall wake the worker again. */
export class StillWaiting extends Error {}

/** The questions that wait. */
export class Questions {
  #replaying: Promise<void> | null = null;

  constructor(
    private readonly store: Store,
    private readonly keeper: Keeper,
    private readonly outside: Surroundings,
  ) {}

  /** Whether the page wants this request kept if it cannot be sent. */
  wants(request: Request): boolean {
    return request.method === 'POST' && request.headers.has(QUEUE) && request.headers.has(KEY);
  }

  /** Keeps a request that was not sent, and tells the page so with 202. */
  async keep(request: Request): Promise<Response> {
    const waiting = await describe(request);
    const known = await this.store.getAll();
    if (!known.some((entry) => waitingOf(entry).key === waiting.key)) {
      await this.store.pushRequest({ request: withToken(request, null), metadata: waiting });
    }
    return Response.json(waiting, { status: 202 });
  }

  /** What waits for this person. */
  async of(sub: string): Promise<readonly Waiting[]> {
    const entries = await this.store.getAll();
    return entries.map(waitingOf).filter((waiting) => waiting.sub === sub);
  }

  /** Forgets one question. */
  async drop(key: string): Promise<readonly Waiting[]> {
    await this.#each(async (entry) => waitingOf(entry).key !== key);
    return (await this.store.getAll()).map(waitingOf);
  }

  /** Forgets them all. */
  async clear(): Promise<void> {
    await this.#each(async () => false);
  }

  /** Asks what waits. Rejects with {@link StillWaiting} if something still does. */
  replay(): Promise<void> {
    this.#replaying ??= this.#replayAll().finally(() => (this.#replaying = null));
    return this.#replaying;
  }

  async #replayAll(): Promise<void> {
    const outcomes: ('done' | 'keep' | 'pause')[] = [];
    await this.#each(async (entry) => {
      // A server that is not there, or wants a pause, is not asked the next question at once.
      const outcome = outcomes.includes('pause') ? 'pause' : await this.#send(entry);
      outcomes.push(outcome);
      return outcome !== 'done';
    });
    if (outcomes.some((outcome) => outcome !== 'done')) throw new StillWaiting();
  }

  /** Takes each entry once; those that `keeps` wants go back in their order, with their age. */
  async #each(keeps: (entry: Entry) => Promise<boolean>): Promise<void> {
    for (let left = (await this.store.getAll()).length; left > 0; left -= 1) {
      const entry = await this.store.shiftRequest();
      if (!entry) return;
      if (await keeps(entry)) await this.store.pushRequest(entry);
    }
  }

  async #send(entry: Entry): Promise<'done' | 'keep' | 'pause'> {
    const waiting = waitingOf(entry);
    const asker = await this.#asker(waiting.sub);
    if (!asker) return 'keep';
    try {
      let response = await this.#ask(entry, asker.token);
      if (response.status === 401) {
        const fresh = await this.keeper.renewed(asker.page, asker.token);
        if (fresh) response = await this.#ask(entry, fresh);
      }
      if (response.status === 401) return 'keep';
      if (response.status === 429 || response.status >= 500) return 'pause';
      const body: unknown = await response.json().catch(() => null);
      await this.outside.deliver(asker.page, { ...waiting, status: response.status, body });
      return 'done';
    } catch {
      return 'pause';
    }
  }

  /** A page at which the person who asked is signed in: it has the token, and gets the answer. */
  async #asker(sub: string): Promise<{ page: string; token: Token } | null> {
    for (const page of await this.outside.pages()) {
      const token = await this.keeper.for(page);
      if (token?.sub === sub) return { page, token };
    }
    return null;
  }

  #ask(entry: Entry, token: Token): Promise<Response> {
    const request = withToken(entry.request.clone(), token);
    request.headers.set('accept', 'application/json');
    return this.outside.send(request);
  }
}

async function describe(request: Request): Promise<Waiting> {
  const body = (await request.clone().json()) as { query?: unknown };
  return {
    key: request.headers.get(KEY) ?? '',
    sub: decodeURIComponent(request.headers.get(QUEUE) ?? ''),
    question: typeof body.query === 'string' ? body.query : '',
    asked: Date.now(),
  };
}

function waitingOf(entry: Entry): Waiting {
  return entry.metadata as Waiting;
}
