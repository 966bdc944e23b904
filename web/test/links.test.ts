import { describe, expect, it } from 'vitest';

import { listed } from '../src/admin/claims';
import { claimsIn, described, subjectOf, viewAs, whoReads } from '../src/admin/links';

const about = (address: string) => new URLSearchParams(address.split('#')[1]);

describe('addresses of questions', () => {
  it('lead back to what was asked', () => {
    const document = 'handbook/a&b=c#1 %.md';
    expect(subjectOf(about(whoReads({ document })))).toEqual({ document });
    const label = { department: 'hr', groups: ['a', 'b'] };
    const claims = { department: 'sales', realm: { roles: ['x'] } };
    const address = about(viewAs(claims, { label }));
    expect([claimsIn(address), subjectOf(address)]).toEqual([claims, { label }]);
    expect(claimsIn(about(viewAs(null, { document })))).toBeNull();
  });

  it('ask nothing when somebody wrote nonsense into them', () => {
    expect(subjectOf(about('/admin/who#label=[1'))).toEqual({});
    expect(claimsIn(about('/admin/view-as#claims=7'))).toBeNull();
    expect(described({})).toEqual({});
  });
});

describe('claims that are shown', () => {
  it('are named by their pointers where they stand within others', () => {
    expect(listed({ sub: 'a', realm: { 'x/y': ['r', 's'] } })).toEqual([['sub', 'a'], ['/realm/x~1y', 'r, s']]);
  });
});
