// How long an access token lives.

import { jwtDecode } from 'jwt-decode';

/** Assumed of a token that does not say when it ends, in seconds. */
const UNKNOWN = 300;

/** Seconds that a token lives from now on: what the provider's answer says or the token itself, whichever is less. */
export function lifetime(token: string, expiresIn: number | undefined, now: number): number {
  const own = ownLifetime(token, now);
  if (expiresIn === undefined) return own ?? UNKNOWN;
  return own === null ? expiresIn : Math.min(expiresIn, own);
}

/** `null`: the token does not say. */
function ownLifetime(token: string, now: number): number | null {
  const { exp, iat } = claims(token);
  if (typeof exp !== 'number') return null;
  const left = exp - now;
  if (typeof iat !== 'number') return left;
  // Both are by the provider's clock: where this device's clock is wrong, they still are right.
  const whole = exp - iat;
  return left > 0 && left < whole ? left : whole;
}

function claims(token: string): { exp?: unknown; iat?: unknown } {
  try {
    return jwtDecode(token);
  } catch {
    return {};
  }
}
