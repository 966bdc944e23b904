// Which requests get the token, and what happens when the server refuses it.

import type { Token } from '../session/protocol';
import type { Keeper } from './keeper';

/** Only calls of this site's own API. A navigation could carry the token to where a link points. */
export function isCall(request: Request, origin: string): boolean {
  const url = new URL(request.url);
  return url.origin === origin && url.pathname.startsWith('/api/') && request.mode !== 'navigate';
}

/** The request with this token and no other. */
export function withToken(request: Request, token: Token | null): Request {
  const headers = new Headers(request.headers);
  headers.delete('authorization');
  if (token) headers.set('authorization', `Bearer ${token.token}`);
  return new Request(request, { headers });
}

/** Sends the request as the person at this page. On 401 once more with a renewed token. */
export async function sendAs(
  client: string,
  request: Request,
  keeper: Keeper,
  send: (request: Request) => Promise<Response>,
): Promise<Response> {
  const again = request.clone();
  const token = await keeper.for(client);
  const response = await send(withToken(request, token));
  if (response.status !== 401 || !token) return response;
  const fresh = await keeper.renewed(client, token);
  return fresh ? send(withToken(again, fresh)) : response;
}
