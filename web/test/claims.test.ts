import { describe, expect, it } from 'vitest';

import { claimsOf, writtenOf } from '../src/admin/claims';
import { ago, count, values } from '../src/admin/words';

describe('claims as an administrator writes them', () => {
  it('takes commas for several values, and nothing for a missing claim', () => {
    const claims = claimsOf({ department: 'sales,  finance ,', user_clearance: ' Internal ', projects: ' , ' });
    expect(claims).toEqual({ department: ['sales', 'finance'], user_clearance: 'Internal' });
  });

  it('puts a value where a JSON Pointer says', () => {
    const claims = claimsOf({ '/realm_access/roles': 'a, b', '/realm_access/level': '3', '/a~1b/~0': 'x' });
    expect(claims).toEqual({ realm_access: { roles: ['a', 'b'], level: '3' }, 'a/b': { '~': 'x' } });
  });

  it('gives back what was written', () => {
    const names = ['department', 'user_clearance', 'projects'];
    const written = writtenOf(names, { department: ['sales', 'finance'], user_clearance: 3 });
    expect(written).toEqual({ department: 'sales, finance', user_clearance: '3', projects: '' });
    expect(claimsOf(written)).toEqual({ department: ['sales', 'finance'], user_clearance: '3' });
  });
});

describe('words', () => {
  it('tells times by their largest whole unit', () => {
    const now = Date.parse('2026-11-21T12:00:00Z');
    expect(ago('2026-11-21T11:59:30Z', now)).toBe('just now');
    expect(ago('2026-11-21T11:58:01Z', now)).toBe('1 minute ago');
    expect(ago('2026-11-20T11:00:00Z', now)).toBe('yesterday');
    expect(ago('2026-11-21T15:30:00Z', now)).toBe('in 3 hours');
  });

  it('counts one and many', () => {
    expect([count(1, 'label'), count(0, 'label'), count(1204, 'chunk')]).toEqual(['1 label', '0 labels', '1,204 chunks']);
    expect(values({ odd: true })).toBe('');
  });
});
