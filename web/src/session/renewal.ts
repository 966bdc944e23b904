// When a session is renewed, how often that is tried, and when it is over.

import type { Token } from './protocol';

/** Renewed this long before the token ends, in seconds; a short token at half of its life. */
export const AHEAD = 60;
/** A token that ends sooner than this is renewed before it is used, in seconds. */
const MARGIN = 30;
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

/**
 * Keeps one person's token fresh. However short tokens are and whatever the server refuses, the provider is asked at most
 * once in half of a token's life.
 */
export class Renewal {
  private current: Token | null = null;
  /** How long the token lived when it came, in seconds. */
  private life = 0;
  /** The provider is not asked before this time, in Unix seconds. */
  private earliest = 0;
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
    this.life = token.exp - this.now();
    this.earliest = 0;
    this.failures = 0;
    this.schedule(Math.max(this.life - AHEAD, this.life / 2) * 1000);
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
  async token(force = false): Promise<Token | null> {
    const token = this.current;
    if (!token) return null;
    const left = token.exp - this.now();
    if (!force && left > Math.min(MARGIN, this.life / 4)) return token;
    if (this.underWay || this.now() >= this.earliest) return this.once();
    if (left > 0) return token;
    throw new NotRenewed(false);
  }

  private once(): Promise<Token> {
    this.underWay ??= this.attempt().finally(() => (this.underWay = null));
    return this.underWay;
  }

  private async attempt(): Promise<Token> {
    let of = this.current;
    try {
      const token = await this.renew();
      // The person may have signed out while the provider was asked.
      if (this.current !== of) throw new NotRenewed(true);
      this.begin(token);
      of = token;
      // It ended on its way here, and so would the next one.
      if (this.life <= 0) throw new NotRenewed(true);
      this.earliest = this.now() + this.life / 2;
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
    this.earliest = this.now() + (PAUSES[0] ?? 0) / 1000;
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
