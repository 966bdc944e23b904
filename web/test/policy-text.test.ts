import { describe, expect, it } from 'vitest';

import { found, Mistake, read, written } from '../src/admin/policy-text';
import { Problem } from '../src/api/problem';

const TEXT = `listen = "127.0.0.1:8321"

[[policy.rule]]
attribute = "department"
op = "in"
claim = "department"

[[policy.any]]
[[policy.any.rule]]
attribute = "clearance_level"
op = "lte"

[[policy.any]]
  [[policy.any.rule]]
  atribute = "project_id"
  op = "im"
`;

function mistake(of: () => unknown): Mistake {
  try {
    of();
  } catch (error) {
    if (error instanceof Mistake) return error;
  }
  throw new Error('there was no mistake');
}

function refusal(detail: string): unknown {
  return found(new Problem('refused', detail, 400), TEXT);
}

describe('the text of a policy', () => {
  it('is read back as it was written', () => {
    const rule = [{ attribute: 'department', op: 'in', claim: '/realm/roles', absent: 'allow' as const }];
    const policy = { engine: 'rules', rule, any: [{ rule, not: true }], all: [] };
    expect(read(written(policy))).toEqual({ engine: 'rules', rule, any: [{ rule, not: true }] });
  });

  it('may be a whole configuration, of which the policy is taken', () => {
    expect(read(TEXT).rule).toEqual([{ attribute: 'department', op: 'in', claim: 'department' }]);
  });

  it('says where it is no TOML, and that it holds no policy', () => {
    const broken = mistake(() => read('[[policy.rule]]\nop = "in'));
    expect(broken.place?.line).toBe(2);
    expect(broken.message).not.toContain('\n');
    expect(mistake(() => read('[identity]\nissuer = "x"')).place).toBeNull();
  });
});

describe('what the server found wrong', () => {
  it.each([
    ['Policy.rule[0]: op: `im` is not one of eq, in.', 5],
    ['Policy.any[0].rule[0]: a `claim` is missing.', 9],
    ['Policy.any[1].rule[0]: op: `im` is not one of eq, in.', 16],
    ['The JSON body is wrong: policy.any[1].rule[0].atribute: unknown field `atribute`, expected one of `attribute` at line 1 column 3.', 15],
    ['The JSON body is wrong: policy.rule[0].claim: invalid type: integer `4`, expected a string at line 1 column 64.', 6],
  ])('is found in the text: %s', (detail, line) => {
    expect(refusal(detail)).toMatchObject({ place: { line } });
  });

  it('leaves out where the request, which nobody sees, is wrong', () => {
    expect(refusal('The JSON body is wrong: policy.rule[0].claim: invalid type at line 1 column 64.')).toMatchObject({ message: 'invalid type.' });
  });

  it('names the path when it stands nowhere in the text, and passes on what is about something else', () => {
    expect(refusal('Policy.engine: `x` is not one of rules, rego.')).toMatchObject({ message: 'Policy.engine: `x` is not one of rules, rego.', place: null });
    const other = new Problem('unavailable', 'Policy: later.', 503);
    expect(found(other, TEXT)).toBe(other);
  });
});
