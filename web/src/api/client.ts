// Calls to the server, with the types of its OpenAPI document.

import { fromAnswer, Problem, problem } from './problem';
import { authorized } from '../session/session';
import type { paths } from './schema';

type Method = 'get' | 'post' | 'put' | 'delete';
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never;
type Reply<O> = O extends { responses: { 200: infer Ok } } ? Json<Ok> : never;
type Sent<O> = O extends { requestBody: infer Body } ? Json<Body> : undefined;
type Segments<O> = O extends { parameters: { path: infer Path } } ? Path : undefined;
type Query<O> = O extends { parameters: { query?: infer Query } } ? Query : undefined;

interface Call<O> {
  /** Values for the address's `{name}`s. */
  path?: Segments<O>;
  query?: Query<O>;
  body?: Sent<O>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls the server and reads its JSON. Throws a {@link Problem} in every other case. */
export async function call<P extends keyof paths, M extends Method & keyof paths[P]>(
  method: M,
  template: P,
  given: Call<Operation<P, M>> = {},
): Promise<Reply<Operation<P, M>>> {
  const response = await send(method, template, given);
  try {
    return (await response.json()) as Reply<Operation<P, M>>;
  } catch {
    throw problem('malformed', response.status);
  }
}

/** Calls the server and hands on its answer if it is 2xx. */
export async function send<P extends keyof paths, M extends Method & keyof paths[P]>(
  method: M,
  template: P,
  given: Call<Operation<P, M>> = {},
): Promise<Response> {
  const headers = new Headers(given.headers);
  if (!headers.has('accept')) headers.set('accept', 'application/json');
  if (given.body !== undefined) headers.set('content-type', 'application/json');
  const init: RequestInit = { method: method.toUpperCase(), headers };
  if (given.body !== undefined) init.body = JSON.stringify(given.body);
  if (given.signal) init.signal = given.signal;
  let response: Response;
  try {
    response = await authorized(new Request(address(template, given), init));
  } catch (error) {
    if (error instanceof Problem || given.signal?.aborted) throw error;
    throw problem('unreachable');
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  throw fromAnswer(response.status, body, response.headers.get('retry-after'));
}

function address(template: string, given: { path?: unknown; query?: unknown }): string {
  const segments = (given.path ?? {}) as Record<string, string>;
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(segments[name] ?? ''));
  const query = Object.entries((given.query ?? {}) as Record<string, string | number | null | undefined>)
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => [name, String(value)]);
  return query.length === 0 ? filled : `${filled}?${new URLSearchParams(query).toString()}`;
}
