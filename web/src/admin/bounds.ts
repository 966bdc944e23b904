// Bounds on labels, as rows of a form: an attribute, how it is bounded, and by what.

import { Problem } from '../api/problem';
import { values } from './words';

/** Bounds as the server takes them: `{"attribute": [values] | {"operator": value}}`. */
export type Bounds = Readonly<Record<string, unknown>>;

/** One row. Several values stand between commas. */
export interface Bound {
  readonly attribute: string;
  /** `all`, which bare values mean, or another operator of the rules. */
  readonly operator: string;
  readonly written: string;
}

/** The operators and what people call them. */
export const OPERATORS: Readonly<Record<string, string>> = {
  all: 'is one of',
  any: 'has one of',
  lte: 'is at most',
  gte: 'is at least',
  prefix: 'begins with',
  eq: 'is',
  in: 'is in',
  exists: 'is there',
};

/** An attribute, as far as it matters for bounds. */
export interface Bounded {
  readonly name: string;
  readonly type: string;
  readonly multiple: boolean;
}

/** The operators that make sense for an attribute. */
export function operatorsFor({ type, multiple }: Bounded): readonly string[] {
  if (multiple) return ['all', 'any'];
  return type === 'keyword' ? ['all', 'prefix'] : ['lte', 'gte', 'all'];
}

/** The rows of bounds. */
export function rowsOf(bounds: Bounds | null | undefined): readonly Bound[] {
  return Object.entries(bounds ?? {}).flatMap(([attribute, wanted]) => {
    if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return [{ attribute, operator: 'all', written: values(wanted) }];
    return Object.entries(wanted).map(([operator, bound]) => ({ attribute, operator, written: values(bound) }));
  });
}

/** The bounds that rows mean; none when there is no row. Throws a {@link Problem} when two bound the same. */
export function boundsOf(rows: readonly Bound[]): Record<string, unknown> | null {
  if (rows.length === 0) return null;
  const bounds: Record<string, Record<string, unknown>> = {};
  for (const { attribute, operator, written } of rows) {
    const of = (bounds[attribute] ??= {});
    if (operator in of) throw new Problem('refused', `${attribute} is bounded twice in the same way. Write all values in one row.`);
    of[operator] = operator === 'exists' || valueOf(written);
  }
  return Object.fromEntries(Object.entries(bounds).map(([attribute, of]) => [attribute, 'all' in of && Object.keys(of).length === 1 ? of['all'] : of]));
}

function valueOf(written: string): string | string[] {
  const several = written.split(',').map((value) => value.trim()).filter((value) => value !== '');
  return several.length === 1 ? (several[0] ?? '') : several;
}
