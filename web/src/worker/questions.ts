// Questions that were asked without a network, and what becomes of them.
//
// The original request is kept, which never held a token; the token is attached when it is sent.

import { PATIENCE, type Answered, type Token, type Waiting } from '../session/protocol';
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

/** Where they are kept. */
export interface Store {
  pushRequest(entry: Entry): Promise<void>;
  getAll(): Promise<Entry[]>;
  remove(which: (waiting: Waiting) => boolean): Promise<void>;
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
  #last: Promise<unknown> = Promise.resolve();

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
    await this.#inTurn(async () => {
      if (await this.#waits(waiting.key)) return;
      await this.store.pushRequest({ request: withToken(request, null), metadata: waiting });
    });
    return Response.json(waiting, { status: 202 });
  }

  /** What waits for this person. */
  async of(sub: string): Promise<readonly Waiting[]> {
    return (await this.#all()).filter((waiting) => waiting.sub === sub);
  }

  /** Forgets one question. */
  async drop(key: string): Promise<readonly Waiting[]> {
    await this.#remove((waiting) => waiting.key === key);
    return this.#all();
  }

  /** Forgets them all. */
  async clear(): Promise<void> {
    await this.#remove(() => true);
  }

  /** Asks what waits. Rejects with {@link StillWaiting} if something still does. */
  replay(): Promise<void> {
    this.#replaying ??= this.#replayAll().finally(() => (this.#replaying = null));
    return this.#replaying;
  }

  async #replayAll(): Promise<void> {
    for (const entry of await this.store.getAll()) {
      // A server that is not there, or wants a pause, is not asked the next question at once.
      if ((await this.#send(entry)) === 'pause') break;
    }
    if ((await this.#all()).length > 0) throw new StillWaiting();
  }

  /** One change of the store after another, so that none puts back what another removed. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#last.then(change);
    this.#last = changed.catch(() => undefined);
    return changed;
  }

  #remove(which: (waiting: Waiting) => boolean): Promise<void> {
    return this.#inTurn(() => this.store.remove(which));
  }

  async #all(): Promise<readonly Waiting[]> {
    return (await this.store.getAll()).map(waitingOf);
  }

  async #waits(key: string): Promise<boolean> {
    return (await this.#all()).some((waiting) => waiting.key === key);
  }

  /** The question stays in the store until it is answered: a worker may be killed over it. */
  async #send(entry: Entry): Promise<'next' | 'pause'> {
    const waiting = waitingOf(entry);
    const first = (await this.#pagesOf(waiting.sub))[0];
    if (!first || !(await this.#inTurn(() => this.#waits(waiting.key)))) return 'next';
    try {
      let response = await this.#ask(entry, first.token);
      if (response.status === 401) {
        const fresh = await this.keeper.renewed(first.page, first.token);
        if (fresh) response = await this.#ask(entry, fresh);
      }
      if (response.status === 401) return 'next';
      if (response.status === 429 || response.status >= 500) return 'pause';
      const body: unknown = await response.json().catch(() => null);
      return (await this.#settle({ ...waiting, status: response.status, body })) ? 'next' : 'pause';
    } catch {
      return 'pause';
    }
  }

  /** Tells what became of a question, if the person did not take it back or leave meanwhile. */
  async #settle(answered: Answered): Promise<boolean> {
    const seats = await this.#pagesOf(answered.sub);
    if (!(await this.#inTurn(() => this.#waits(answered.key)))) return true;
    if (!(await this.#deliver(seats, answered))) return false;
    await this.#remove((waiting) => waiting.key === answered.key);
    return true;
  }

  /** The pages at which the person who asked is signed in: they have the token, and get the answer. */
  async #pagesOf(sub: string): Promise<readonly Seat[]> {
    // A tab that the browser froze does not reply.
    const late = new Promise<null>((resolve) => setTimeout(resolve, PATIENCE, null));
    const seat = async (page: string) => ({ page, token: await Promise.race([this.keeper.for(page), late]) });
    const seats = await Promise.all((await this.outside.pages()).map(seat));
    return seats.filter((one): one is Seat => one.token?.sub === sub);
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
