// What a record of the audit trail says, in words.

import type { components } from '../api/schema';
import { values } from './words';

type Recorded = components['schemas']['Recorded'];
type Kind = components['schemas']['Kind'];

/** What kinds of records are called. */
export const EVENTS: Record<Kind, string> = {
  retrieved: 'Retrieved',
  ingested: 'Ingested',
  token_issued: 'Token issued',
  token_refused: 'Token refused',
  token_revoked: 'Token revoked',
  agent_created: 'Agent registered',
  agent_revoked: 'Agent revoked',
  delegated: 'Delegated',
  delegation_revoked: 'Delegation taken back',
  key_rotated: 'Key rotated',
  vault_read: 'Vault read',
  vault_refused: 'Vault refused',
  claims_seen: 'New claims seen',
  pruned: 'Old records removed',
  admin: 'Administration',
};

const ORDERS: Readonly<Record<string, string>> = { quarantine: 'Quarantined', release: 'Released', purge: 'Removed' };

/** What happened, as a heading, and what else the record says of it. */
export function inWords({ kind, agent, scope, detail }: Recorded): { readonly title: string; readonly more: string } {
  const order = /^(quarantine|release|purge) what it brought$/.exec(detail ?? '')?.[1];
  if (order !== undefined) {
    const done = `${ORDERS[order]} what ${agent ?? 'it'} brought`;
    return kind === 'admin' ? { title: done, more: '' } : { title: EVENTS[kind], more: done };
  }
  const question = kind === 'admin' && detail ? asked(detail) : null;
  return question === null ? { title: EVENTS[kind], more: [scope, detail].filter(Boolean).join(' · ') } : { title: question, more: '' };
}

/** An administrator's question; null if it is none that is known here. */
function asked(detail: string): string | null {
  const [, word = '', rest = ''] = /^(?:policy )?([\w-]+) ?(.*)$/s.exec(detail) ?? [];
  const named = pairs(rest);
  const document = named.get('document');
  if (word === 'labels') return 'Looked at the labels';
  if (word === 'who') return `Asked who can read ${document ?? 'documents with a label'}`;
  if (word === 'explain') return `Asked why, or why not, ${document ?? 'a document'} may be read`;
  if (word === 'view-as') return `Asked what certain claims open${document === undefined ? '' : `, and why, or why not, ${document}`}`;
  if (word === 'diff') return `Compared policy ${rest.replace(' ', ' with ')}`;
  if (word !== 'audit') return null;
  const wanted = [...named].map(([name, value]) => `${name} ${value}`);
  return wanted.length === 0 ? 'Read the audit trail' : `Searched the audit trail: ${wanted.join(', ')}`;
}

/** `name="value"`s, where the server escapes what stands between the quotes. */
function pairs(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [name, value.replace(/\\(["\\'])/g, '$1')]));
}

/** Whatever else is on record, for those who look closely. */
export function rest(record: Recorded): readonly (readonly [string, string])[] {
  const shown = new Set(['time', 'kind', 'outcome', 'document_ids', 'claims']);
  return Object.entries(record)
    .map(([name, value]) => [name, values(value)] as const)
    .filter(([name, value]) => !shown.has(name) && value !== '')
    .map(([name, value]) => [name.replaceAll('_', ' '), value]);
}
