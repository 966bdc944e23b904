import { describe, expect, test } from 'vitest';

import { lifetime } from '../src/session/lifetime';

const NOW = 1_800_000_000;

function jwt(claims: object): string {
  const part = (value: object) => btoa(JSON.stringify(value)).replaceAll('=', '');
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`;
}

describe('the lifetime of a token', () => {
  test('is what the provider says or the token itself, whichever is less', () => {
    expect(lifetime(jwt({ iat: NOW, exp: NOW + 60 }), 3600, NOW)).toBe(60);
    expect(lifetime(jwt({ iat: NOW, exp: NOW + 3600 }), 60, NOW)).toBe(60);
    expect(lifetime(jwt({ iat: NOW, exp: NOW + 60 }), 1e12, NOW)).toBe(60);
  });

  test('is read from the token where the provider does not say', () => {
    expect(lifetime(jwt({ iat: NOW, exp: NOW + 60 }), undefined, NOW)).toBe(60);
    expect(lifetime(jwt({ exp: NOW + 60 }), undefined, NOW)).toBe(60);
    expect(lifetime(jwt({ iat: NOW - 40, exp: NOW + 20 }), undefined, NOW)).toBe(20);
  });

  test.each([-86_400, -600, 600, 86_400])('does not depend on a clock here that is %i s wrong', (wrong) => {
    const fresh = jwt({ iat: NOW, exp: NOW + 60 });
    expect(lifetime(fresh, undefined, NOW + wrong)).toBe(60);
    expect(lifetime(fresh, 60, NOW + wrong)).toBe(60);
  });

  test('is guessed of a token that says nothing that can be read', () => {
    for (const token of ['opaque', 'a.b.c', jwt({}), jwt({ exp: 'soon' })]) {
      expect(lifetime(token, undefined, NOW)).toBe(300);
      expect(lifetime(token, 60, NOW)).toBe(60);
    }
  });
});
