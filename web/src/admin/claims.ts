// Claims as an administrator writes and reads them: one line a claim, several values between commas.

import { values } from './words';

/** A token's claims. */
export type Claims = Readonly<Record<string, unknown>>;

/** What is written behind each claim's name. */
export type Written = Readonly<Record<string, string>>;

type Members = Record<string, unknown>;

/** The claims that are meant; what is left empty is missing from the token. */
export function claimsOf(written: Written): Claims {
  const claims: Members = {};
  for (const [claim, text] of Object.entries(written)) {
    const values = text.split(',').map((value) => value.trim()).filter((value) => value !== '');
    if (values.length > 0) put(claims, claim, values.length === 1 ? values[0] : values);
  }
  return claims;
}

/** What one would write to get these claims. */
export function writtenOf(names: readonly string[], claims: Claims): Written {
  return Object.fromEntries(names.map((name) => [name, values(claims[name] ?? at(claims, stepsOf(name)))]));
}

/** Every claim and what it says; one that stands within another is named by its JSON Pointer. */
export function listed(claims: Claims, within = ''): readonly (readonly [string, string])[] {
  return Object.entries(claims).flatMap(([name, value]) => {
    if (!isMembers(value)) return [[within === '' ? name : `${within}/${escaped(name)}`, values(value)] as const];
    return listed(value, `${within}/${escaped(name)}`);
  });
}

/** Puts a value where a claim's name, or its JSON Pointer (RFC 6901), says. */
function put(claims: Members, claim: string, value: unknown): void {
  const steps = stepsOf(claim);
  const last = steps.pop() ?? '';
  let place = claims;
  for (const step of steps) {
    const inner = place[step];
    place = isMembers(inner) ? inner : (place[step] = {});
  }
  place[last] = value;
}

function at(claims: Claims, steps: readonly string[]): unknown {
  return steps.reduce<unknown>((place, step) => (isMembers(place) ? place[step] : undefined), claims);
}

function stepsOf(claim: string): string[] {
  if (!claim.startsWith('/')) return [claim];
  return claim.slice(1).split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
