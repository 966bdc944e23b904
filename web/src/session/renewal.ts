// When a session is renewed, how often that is tried, and when it is over.

import type { Token } from './protocol';

/** Renewed this long before the token ends, in seconds. */
export const AHEAD = 60;
/** Pauses between tries that found nobody, in milliseconds; then it waits to be asked. */
export const PAUSES: readonly number[] = [5_000, 15_000, 30_000];

/** Why no new token came. */
export class NotRenewed extends Error {
  constructor(
    /** The provider said no: trying again would not help. */
    readonly final: boolean,
  ) {
    super(final ? 'the provider refused to renew' : 'the provider was not reached');
  }
}

/** Keeps one person's token fresh. */
export class Renewal {
  private current: Token | null = null;
  private underWay: Promise<Token> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;

  constructor(
    /** Asks the provider. Rejects with {@link NotRenewed}. */
    private readonly renew: () => Promise<Token>,
    /** Hears of each new token. */
    private readonly renewed: (token: Token) => void,
    /** The provider refused: the session ends with its token. */
    private readonly refused: () => void,
    /** Unix seconds. */
    private readonly now: () => number = () => Date.now() / 1000,
  ) {}

  /** Starts with a token that the person just got. */
  begin(token: Token): void {
    this.current = token;
    this.failures = 0;
    this.schedule((token.exp - AHEAD - this.now()) * 1000);
  }

  /** Forgets the token. */
  end(): void {
    this.current = null;
    clearTimeout(this.timer);
  }

  /**
   * The token, renewed first if it is about to end or if `force` says that the server refused it.
   * Everybody who asks meanwhile shares one renewal. Rejects with {@link NotRenewed}.
   */
  async token(force = false, margin = 30): Promise<Token | null> {
    const token = this.current;
    if (!token) return null;
    if (!force && token.exp - this.now() > margin) return token;
    return this.once();
  }

  private once(): Promise<Token> {
    this.underWay ??= this.attempt().finally(() => (this.underWay = null));
    return this.underWay;
  }

  private async attempt(): Promise<Token> {
    const of = this.current;
    try {
      const token = await this.renew();
      // The person may have signed out while the provider was asked.
      if (this.current !== of) throw new NotRenewed(true);
      this.begin(token);
      this.renewed(token);
      return token;
    } catch (error) {
      const failure = error instanceof NotRenewed ? error : new NotRenewed(false);
      if (this.current === of) this.failed(failure);
      throw failure;
    }
  }

  private failed(failure: NotRenewed): void {
    clearTimeout(this.timer);
    if (failure.final) {
      this.refused();
      return;
    }
    const pause = PAUSES[this.failures];
    this.failures += 1;
    if (pause !== undefined) this.schedule(pause);
  }

  private schedule(ms: number): void {
    clearTimeout(this.timer);
    // Longer waits than this overflow the browser's timer; it then looks again.
    const wait = Math.min(Math.max(ms, 0), 2 ** 31 - 1);
    this.timer = setTimeout(() => {
      if (ms > wait) this.schedule(ms - wait);
      // What goes wrong was handled in `failed`.
      else void this.once().catch(() => undefined);
    }, wait);
  }
}
