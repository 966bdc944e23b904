// What the page and the service worker say to each other.
//
// Every message carries VERSION, goes out with its own MessageChannel and gets exactly one reply.
// A party that does not know a message, or whose version differs, replies `{ ok: false }`.

/** Changes whenever the messages below do, because an old worker may meet a new page. */
export const VERSION = 1;

/** How long to wait for a reply, in milliseconds. */
export const PATIENCE = 3000;

/** An access token and whose it is. Lives in memory only. */
export interface Token {
  readonly token: string;
  /** The person: the `sub` that the identity provider gave. */
  readonly sub: string;
  /** When it ends, in Unix seconds. */
  readonly exp: number;
}

/** A question that waits for the network. */
export interface Waiting {
  /** The request's `Idempotency-Key`, which is the id of the turn in the chat. */
  readonly key: string;
  readonly sub: string;
  readonly question: string;
  /** When it was asked, in Unix milliseconds. */
  readonly asked: number;
}

/** What became of a question that waited. */
export interface Answered extends Waiting {
  readonly status: number;
  /** The body as JSON: an answer, or a problem. */
  readonly body: unknown;
}

/** From the page to the worker, and what each is replied with. */
export interface ToWorker {
  /** The person signed in, or her token was renewed. */
  SET_TOKEN: { send: Token; reply: null };
  /** The person signed out: forgets the token and every question that waits. */
  CLEAR: { send: null; reply: null };
  /** Which questions of this person wait? */
  QUEUE_STATE: { send: { sub: string }; reply: readonly Waiting[] };
  /** Ask the questions that wait, now. */
  QUEUE_REPLAY: { send: { sub: string }; reply: readonly Waiting[] };
  /** The person withdrew a question. */
  QUEUE_DROP: { send: { key: string }; reply: readonly Waiting[] };
  /** Take over the pages that have no worker. */
  CLAIM: { send: null; reply: null };
  /** Take the place of the worker before. */
  SKIP_WAITING: { send: null; reply: null };
}

/** From the worker to the page. */
export interface ToPage {
  /** The worker was restarted, its token is about to end, or the server refused it (`force`). `null`: nobody is signed in here. */
  TOKEN_REQUEST: { send: { force: boolean }; reply: Token | null };
  /** The server refused a fresh token. */
  AUTH_REQUIRED: { send: null; reply: null };
  /**
   * A question that waited was answered, or refused for good. Replied with whether the page shows
   * it; one that does not know the question begins a conversation with it only if it is to `adopt` it.
   */
  QUEUE_ANSWERED: { send: { answered: Answered; adopt: boolean }; reply: boolean };
}

type Messages = ToWorker & ToPage;
type Name = keyof Messages;

interface Envelope<N extends Name = Name> {
  readonly bailiwick: number;
  readonly name: N;
  readonly body: Messages[N]['send'];
}

type Reply = { readonly ok: true; readonly body: unknown } | { readonly ok: false; readonly reason: string };

/** Anything that takes messages: the worker of a page, or a page of the worker. */
export interface Party {
  postMessage(message: unknown, transfer: Transferable[]): void;
}

/** The other side did not reply in time, or could not. */
export class NoReply extends Error {}

/** Sends a message and waits for its one reply. */
export function tell<N extends Name>(
  party: Party,
  name: N,
  body: Messages[N]['send'],
  patience = PATIENCE,
): Promise<Messages[N]['reply']> {
  const { port1, port2 } = new MessageChannel();
  return new Promise<Messages[N]['reply']>((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoReply(`${name}: no reply within ${patience} ms`)), patience);
    port1.onmessage = ({ data }: MessageEvent<Reply>) => {
      clearTimeout(timer);
      if (data.ok) resolve(data.body as Messages[N]['reply']);
      else reject(new NoReply(`${name}: ${data.reason}`));
    };
    const envelope: Envelope<N> = { bailiwick: VERSION, name, body };
    party.postMessage(envelope, [port2]);
  }).finally(() => port1.close());
}

/** What is read of a message; the two sides have two types for it. */
export interface Incoming {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];
  readonly source: unknown;
}

/** What one side does with each message that it can get. */
export type Handlers<M> = {
  [N in keyof M & Name]: (body: Messages[N]['send'], event: Incoming) => Promise<Messages[N]['reply']> | Messages[N]['reply'];
};

/** Replies once to a message; messages of others are left alone. Over when the reply is out. */
export async function answer<M>(handlers: Handlers<M>, event: Incoming): Promise<void> {
  const envelope = event.data as Partial<Envelope> | null;
  const port = event.ports[0];
  if (typeof envelope !== 'object' || envelope?.bailiwick === undefined || !port) return;
  port.postMessage(await replyTo(handlers, envelope, event));
}

async function replyTo<M>(handlers: Handlers<M>, envelope: Partial<Envelope>, event: Incoming): Promise<Reply> {
  if (envelope.bailiwick !== VERSION) return { ok: false, reason: 'another version' };
  const known = handlers as Partial<Record<string, (body: unknown, event: Incoming) => unknown>>;
  const handler = known[envelope.name ?? ''];
  if (!handler) return { ok: false, reason: 'not known here' };
  try {
    return { ok: true, body: await handler(envelope.body, event) };
  } catch {
    // The cause stays on this side: it could hold what the other must not learn.
    return { ok: false, reason: 'failed' };
  }
}
