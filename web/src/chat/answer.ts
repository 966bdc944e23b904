// Asks the server, and tells piece by piece what it answers.

import { send } from '../api/client';
import { fromAnswer, Problem, problem } from '../api/problem';
import type { components } from '../api/schema';
import { eventsOf, type ServerEvent } from './events';

export type Answer = components['schemas']['Answer'];
export type Sources = components['schemas']['Sources'];
export type Source = components['schemas']['SourceNode'];

/** What a question brings, in this order: `sources`, then `text` until it ends; or `queued` alone. */
export type Piece =
  | { readonly kind: 'sources'; readonly sources: Sources }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'queued' };

/** What to ask, as whom. */
export interface Asked {
  readonly question: string;
  /** The same for every try, so that an answer is shown once. */
  readonly key: string;
  readonly sub: string;
  readonly signal: AbortSignal;
}

/** Asks. Throws a {@link Problem} when the answer ends early; the pieces until then are good. */
export async function* ask({ question, key, sub, signal }: Asked): AsyncGenerator<Piece> {
  const headers = { accept: 'text/event-stream', 'idempotency-key': key, 'x-queue': encodeURIComponent(sub) };
  const response = await send('post', '/api/rag/query', { body: { query: question }, headers, signal });
  if (response.status === 202) {
    yield { kind: 'queued' };
    return;
  }
  if (!response.body) throw problem('malformed');
  try {
    for await (const event of eventsOf(response.body)) {
      if (event.name === 'done') return;
      const piece = pieceOf(event);
      if (piece) yield piece;
    }
  } catch (error) {
    if (error instanceof Problem || signal.aborted) throw error;
    throw problem('cut');
  }
  // The stream ended without saying so.
  throw problem('cut');
}

function pieceOf({ name, data }: ServerEvent): Piece | null {
  const body = json(data);
  switch (name) {
    case 'sources':
      if (!isSources(body)) throw problem('malformed');
      return { kind: 'sources', sources: body };
    case 'token':
      if (typeof body['text'] !== 'string') throw problem('malformed');
      return { kind: 'text', text: body['text'] };
    case 'error':
      throw fromAnswer(typeof body['status'] === 'number' ? body['status'] : 500, body);
    default:
      // A newer server may tell more.
      return null;
  }
}

function json(data: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(data);
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch {
    // Said below, in the one way.
  }
  throw problem('malformed');
}

/** Whether there is all that is shown of sources. */
export function isSources(body: unknown): body is Sources {
  const { source_nodes: nodes, classification, bailiwick } = (body ?? {}) as Partial<Sources>;
  const whole = (source: Partial<Source> | null) =>
    typeof source?.node?.text === 'string' && typeof source.node.ref_doc_id === 'string' && typeof source.node.metadata === 'object';
  return Array.isArray(nodes) && nodes.every(whole) && typeof classification === 'object' && typeof bailiwick === 'object';
}
