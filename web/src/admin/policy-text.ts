// A policy as people write it: `[policy]` of the configuration, in TOML.

import { parse, stringify, TomlError } from 'smol-toml';

import { Problem } from '../api/problem';
import type { components } from '../api/schema';

type Policy = components['schemas']['PolicyConfig'];

/** Where something stands in a text; lines and columns count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong with a text, and where if that is known. */
export class Mistake extends Error {
  constructor(message: string, readonly place: Place | null = null) {
    super(message);
    this.name = 'Mistake';
  }
}

/** The text of a policy. */
export function written(policy: Policy): string {
  const told = Object.entries(policy).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return stringify({ policy: Object.fromEntries(told) });
}

/** Reads a configuration, or the part of it that is the policy. Throws a {@link Mistake}. */
export function read(text: string): Policy {
  const { policy } = parsed(text);
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) {
    throw new Mistake('There is no policy in this text. It begins with [policy], or with [[policy.rule]].');
  }
  return policy;
}

function parsed(text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [message = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw new Mistake(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`, error);
  }
}

/** What the server found wrong with a policy, and where in its text; any other error as it is. */
export function found(error: unknown, text: string): unknown {
  if (!(error instanceof Problem) || error.kind !== 'refused') return error;
  const said = /^(?:The JSON body is wrong: )?(policy[\w.[\]]*): (.*?)(?: at line \d+ column \d+)?\.?$/i.exec(error.message);
  if (!said) return error;
  const [, path = '', message = ''] = said;
  const key = (/^unknown field `([^`]+)`/.exec(message) ?? /^(\w+)/.exec(message))?.[1] ?? '';
  const place = placeOf(text, path.toLowerCase(), key);
  return new Mistake(`${place ? '' : `${path}: `}${message}.`, place);
}

/** Where the key stands that `path` leads to; if it leads to a table, `key` in there, or the table. */
function placeOf(text: string, path: string, key: string): Place | null {
  const lines = text.split('\n');
  const tables = tablesOf(text);
  const whole = tables.find((one) => one.path === path || one.path.startsWith(`${path}[`));
  const table = whole ?? tables.find((one) => one.path === path.slice(0, path.lastIndexOf('.')));
  if (!table) return null;
  const wanted = whole ? key : path.slice(path.lastIndexOf('.') + 1);
  const end = tables.find((one) => one.line > table.line)?.line ?? lines.length + 1;
  for (let line = table.line + 1; line < end; line += 1) {
    const [, indent = '', name] = /^(\s*)["']?([\w-]+)["']?\s*=/.exec(lines[line - 1] ?? '') ?? [];
    if (name === wanted) return { line, column: indent.length + 1 };
  }
  return { line: table.line, column: 1 };
}

interface Table {
  readonly path: string;
  readonly line: number;
}

/** The headings of tables, each with the path that the server gives it: the second `[[policy.rule]]` is `policy.rule[1]`. */
function tablesOf(text: string): readonly Table[] {
  const counts = new Map<string, number>();
  return text.split('\n').flatMap((line, n) => {
    const [, bracket, inner = ''] = /^\s*(\[\[?)\s*([\w.\s-]+?)\s*\]/.exec(line) ?? [];
    if (bracket === undefined) return [];
    const names = inner.split('.').map((name) => name.trim());
    const whole = names.join('.');
    if (bracket === '[[') {
      counts.set(whole, (counts.get(whole) ?? -1) + 1);
      for (const other of counts.keys()) if (other.startsWith(`${whole}.`)) counts.delete(other);
    }
    const numbered = names.map((name, depth) => {
      const count = counts.get(names.slice(0, depth + 1).join('.'));
      return count === undefined ? name : `${name}[${count}]`;
    });
    return [{ path: numbered.join('.'), line: n + 1 }];
  });
}
