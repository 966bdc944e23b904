import { describe, expect, it } from 'vitest';

import { boundsOf, rowsOf } from '../src/admin/bounds';
import { bounds } from '../src/admin/words';

describe('bounds', () => {
  it.each([
    { department: ['hr', 'sales'], clearance_level: { lte: 'Restricted' } },
    { year: { gte: '2020', lte: '2024' }, department: 'hr' },
    { folder: { prefix: '/hr' }, project_id: { exists: true }, groups: { any: ['a', 'b'], all: ['a', 'b', 'c'] } },
  ])('come out of their rows as they went in: %o', (written) => {
    expect(boundsOf(rowsOf(written))).toEqual(written);
  });

  it('are none without rows, and refused when two rows contradict each other', () => {
    expect(boundsOf(rowsOf(null))).toBeNull();
    const twice = [{ attribute: 'year', operator: 'lte', written: '1' }, { attribute: 'year', operator: 'lte', written: '2' }];
    expect(() => boundsOf(twice)).toThrow('year is bounded twice');
  });

  it('are said in words', () => {
    expect(bounds({ department: ['hr', 'sales'], clearance_level: { lte: 'Restricted' } })).toBe('department = hr, sales; clearance_level ≤ Restricted');
  });
});
