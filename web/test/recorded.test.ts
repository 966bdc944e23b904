import { describe, expect, it } from 'vitest';

import { inWords, rest } from '../src/admin/recorded';

const record = (detail: string, more = {}) => ({ seq: 7, time: '', kind: 'admin' as const, outcome: 'ok' as const, detail, ...more });

describe("an administrator's questions in the audit trail", () => {
  it.each([
    ['labels', 'Looked at the labels'],
    ['policy who document="hr/a.md"', 'Asked who can read hr/a.md'],
    ['who', 'Asked who can read documents with a label'],
    ['view-as', 'Asked what certain claims open'],
    ['view-as document="a \\"b\\".md"', 'Asked what certain claims open, and why, or why not, a "b".md'],
    ['explain document="x"', 'Asked why, or why not, x may be read'],
    ['policy diff 749c 88fc', 'Compared policy 749c with 88fc'],
    ['audit', 'Read the audit trail'],
    ['audit person="bob" event="retrieved"', 'Searched the audit trail: person bob, event retrieved'],
  ])('%s', (detail, title) => {
    expect(inWords(record(detail))).toEqual({ title, more: '' });
  });

  it('leaves alone what it does not know', () => {
    expect(inWords(record('something new'))).toEqual({ title: 'Administration', more: 'something new' });
  });

  it('tells orders about documents', () => {
    expect(inWords(record('release what it brought', { agent: 'courier' })).title).toBe('Released what courier brought');
    const revoked = { ...record('quarantine what it brought', { agent: 'courier' }), kind: 'agent_revoked' as const };
    expect(inWords(revoked)).toEqual({ title: 'Agent revoked', more: 'Quarantined what courier brought' });
  });

  it('shows the rest of a record to who looks closely', () => {
    expect(rest(record('x', { request_id: 'r', document_ids: ['d'], actors: ['a', 'b'] }))).toEqual([
      ['seq', '7'],
      ['detail', 'x'],
      ['request id', 'r'],
      ['actors', 'a, b'],
    ]);
  });
});
