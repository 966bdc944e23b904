// What can go wrong with a call, in words for the person who waits for it.

/** Which kind of thing went wrong; each has its own sentence and its own next step. */
export type Kind =
  | 'unreachable'
  | 'signed-out'
  | 'forbidden'
  | 'not-found'
  | 'too-many'
  | 'unavailable'
  | 'refused'
  | 'cut'
  | 'malformed'
  | 'expired'
  | 'failed';

/** A call that brought no answer. */
export class Problem extends Error {
  constructor(
    readonly kind: Kind,
    /** What happened and what to do next. */
    message: string,
    /** The HTTP status; 0 when there was no answer. */
    readonly status = 0,
  ) {
    super(message);
    this.name = 'Problem';
  }
}

const SENTENCES: Record<Kind, string> = {
  unreachable: 'The server cannot be reached. Check your connection and try again.',
  'signed-out': 'Your session has ended. Sign in again; your question is still here.',
  forbidden: 'Your account may not do this. Ask an administrator if it should.',
  'not-found': 'There is nothing here that you may see.',
  'too-many': 'Too many requests at once. Wait a moment and try again.',
  unavailable: 'The server cannot answer now. Try again in a moment.',
  refused: 'The server did not accept this.',
  cut: 'The answer broke off. What arrived is kept; ask again for the rest.',
  malformed: 'The server sent something that this page does not understand. Reload the page and ask again.',
  expired: 'This question waited for too long and was let go. Ask it again.',
  failed: 'Something went wrong on the server. Try again, or tell an administrator.',
};

/** A problem with the sentence of its kind. */
export function problem(kind: Kind, status = 0): Problem {
  return new Problem(kind, SENTENCES[kind], status);
}

function kindOf(status: number): Kind {
  if (status === 401) return 'signed-out';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not-found';
  if (status === 429) return 'too-many';
  if (status === 503 || status === 502 || status === 504) return 'unavailable';
  return status >= 500 ? 'failed' : 'refused';
}

/** Reads an answer that is not 2xx. The server's own `detail` is shown where it says more than we know. */
export function fromAnswer(status: number, body: unknown, retryAfter: string | null = null): Problem {
  const kind = kindOf(status);
  const detail = (body as { detail?: unknown } | null)?.detail;
  const says = kind === 'refused' || kind === 'unavailable' || kind === 'forbidden';
  const sentence = says && typeof detail === 'string' && detail !== '' ? capital(detail) : SENTENCES[kind];
  const seconds = Number(retryAfter);
  const wait = kind === 'too-many' && seconds > 0 ? `Too many requests at once. Try again in ${seconds} seconds.` : sentence;
  return new Problem(kind, wait, status);
}

function capital(text: string): string {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
