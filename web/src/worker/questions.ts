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
  /** Tells a page, and whether it shows the answer. */
  deliver(page: string, answered: Answered, adopt: boolean): Promise<boolean>;
  send(request: Request): Promise<Response>;
}

/** A page, and the token of the person there. */
interface Seat {
  readonly page: string;
  readonly token: Token;
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
    const pages = await this.#pagesOf(waiting.sub);
    const first = pages[0];
    if (!first) return 'keep';
    try {
      let response = await this.#ask(entry, first.token);
      if (response.status === 401) {
        const fresh = await this.keeper.renewed(first.page, first.token);
        if (fresh) response = await this.#ask(entry, fresh);
      }
      if (response.status === 401) return 'keep';
      if (response.status === 429 || response.status >= 500) return 'pause';
      const body: unknown = await response.json().catch(() => null);
      return (await this.#deliver(pages, { ...waiting, status: response.status, body })) ? 'done' : 'pause';
    } catch {
      return 'pause';
    }
  }

  /** The pages at which the person who asked is signed in: they have the token, and get the answer. */
  async #pagesOf(sub: string): Promise<readonly Seat[]> {
    const seats: Seat[] = [];
    for (const page of await this.outside.pages()) {
      const token = await this.keeper.for(page);
      if (token?.sub === sub) seats.push({ page, token });
    }
    return seats;
  }

  /** Tells the pages that show the question; if none does any longer, any of them. */
  async #deliver(pages: readonly Seat[], answered: Answered): Promise<boolean> {
    const tell = (page: string, adopt: boolean) => this.outside.deliver(page, answered, adopt).catch(() => false);
    const shown = await Promise.all(pages.map(({ page }) => tell(page, false)));
    if (shown.includes(true)) return true;
    for (const { page } of pages) if (await tell(page, true)) return true;
    return false;
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
