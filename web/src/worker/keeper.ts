// The token in the worker's memory. A worker that was idle for half a minute has lost it, and asks.

import { NoReply, type Token } from '../session/protocol';

/** Asks one page for the token of whoever is signed in there. */
export type AskPage = (client: string, force: boolean) => Promise<Token | null>;

/** A token that ends sooner than this is not used any longer, in seconds. */
const MARGIN = 30;

/** Keeps one person's token: one browser profile, one account. */
export class Keeper {
  #token: Token | null = null;
  /** Who is signed in at which page, as far as the pages said. */
  readonly #people = new Map<string, string>();
  readonly #asking = new Map<string, Promise<Token | null>>();
  /** Changes when everything was forgotten, so that a late reply is not kept. */
  #era = 0;

  constructor(
    private readonly ask: AskPage,
    private readonly now: () => number = () => Date.now() / 1000,
  ) {}

  /** A page tells its token. */
  set(client: string, token: Token): void {
    this.#token = token;
    this.#people.set(client, token.sub);
  }

  /** Everybody signed out. */
  clear(): void {
    this.#era += 1;
    this.#token = null;
    this.#people.clear();
    this.#asking.clear();
  }

  /** The token of the person at this page, and of nobody else. `null`: there is none to be had. */
  async for(client: string): Promise<Token | null> {
    const token = this.#token;
    if (token && this.#people.get(client) === token.sub && token.exp - this.now() > MARGIN) return token;
    return this.#fetch(client, false);
  }

  /** A newer token than the one that the server refused. */
  async renewed(client: string, refused: Token): Promise<Token | null> {
    const token = this.#token;
    // Another request was refused with the same token, and was quicker.
    if (token && token.token !== refused.token && token.sub === refused.sub) return token;
    const fresh = await this.#fetch(client, true);
    return fresh && fresh.token !== refused.token && fresh.sub === refused.sub ? fresh : null;
  }

  /** However many requests need the token, the page is asked once. */
  #fetch(client: string, force: boolean): Promise<Token | null> {
    const key = `${force}:${client}`;
    const underWay = this.#asking.get(key);
    if (underWay) return underWay;
    const asked = this.#askPage(client, force).finally(() => {
      if (this.#asking.get(key) === asked) this.#asking.delete(key);
    });
    this.#asking.set(key, asked);
    return asked;
  }

  async #askPage(client: string, force: boolean): Promise<Token | null> {
    const era = this.#era;
    try {
      const token = await this.ask(client, force);
      if (era !== this.#era) return null;
      if (token) this.set(client, token);
      else this.#people.delete(client);
      return token;
    } catch (error) {
      if (error instanceof NoReply) return null;
      throw error;
    }
  }
}
