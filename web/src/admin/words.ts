// Times, counts and labels in words.

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const NUMBER = new Intl.NumberFormat('en');

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** Date and time, to the second. */
export function moment(time: string): string {
  return MOMENT.format(new Date(time));
}

/** The date alone. */
export function day(time: string): string {
  return DAY.format(new Date(time));
}

/** How long ago, or in how long: "3 hours ago". */
export function ago(time: string, now = Date.now()): string {
  const seconds = (new Date(time).getTime() - now) / 1000;
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  if (!step) return seconds > 0 ? 'in a moment' : 'just now';
  return RELATIVE.format(Math.trunc(seconds / step[1]), step[0]);
}

/** "1 chunk", "1,204 chunks". */
export function count(n: number, one: string): string {
  return `${NUMBER.format(n)} ${one}${n === 1 ? '' : 's'}`;
}

/** A number for a table. */
export function number(n: number): string {
  return NUMBER.format(n);
}

/** A value or several, as one would write them. */
export function values(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(', ');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Attributes and their values: "department sales, clearance_level Internal". */
export function inWords(attributes: Readonly<Record<string, unknown>>): string {
  return Object.entries(attributes).map(([name, value]) => `${name} ${values(value)}`).join(', ');
}

const SIGNS: Readonly<Record<string, string>> = { lte: '≤', gte: '≥' };

/** Bounds on labels: "department = hr, sales; clearance_level ≤ Restricted". */
export function bounds(within: Readonly<Record<string, unknown>>): string {
  const one = ([attribute, wanted]: [string, unknown]): string => {
    if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return `${attribute} = ${values(wanted)}`;
    return Object.entries(wanted).map(([operator, bound]) => `${attribute} ${SIGNS[operator] ?? operator} ${values(bound)}`).join('; ');
  };
  return Object.entries(within).map(one).join('; ');
}
