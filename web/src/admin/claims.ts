// Claims as an administrator writes them: one line a claim, several values between commas.

import { values } from './words';

/** A token's claims. */
export type Claims = Record<string, unknown>;

/** What is written behind each claim's name. */
export type Written = Readonly<Record<string, string>>;

/** The claims that are meant; what is left empty is missing from the token. */
export function claimsOf(written: Written): Claims {
  const claims: Claims = {};
  for (const [claim, text] of Object.entries(written)) {
    const values = text.split(',').map((value) => value.trim()).filter((value) => value !== '');
    if (values.length > 0) put(claims, claim, values.length === 1 ? values[0] : values);
  }
  return claims;
}

/** What one would write to get these claims. */
export function writtenOf(names: readonly string[], claims: Claims): Written {
  return Object.fromEntries(names.map((name) => [name, values(claims[name])]));
}

/** Puts a value where a claim's name, or its JSON Pointer (RFC 6901), says. */
function put(claims: Claims, claim: string, value: unknown): void {
  const steps = claim.startsWith('/')
    ? claim.slice(1).split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    : [claim];
  const last = steps.pop() ?? '';
  let place = claims;
  for (const step of steps) {
    const inner = place[step];
    place = typeof inner === 'object' && inner !== null ? (inner as Claims) : (place[step] = {});
  }
  place[last] = value;
}
