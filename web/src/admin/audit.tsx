// Search in the audit trail.

import type { JSX } from 'preact';
import { useCallback, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { Problem } from '../api/problem';
import type { components } from '../api/schema';
import { text } from './form';
import { asProblem, useLoaded } from './loaded';
import { Await, Field, Table, Trouble, type Column } from './parts';
import { moment } from './words';

type Recorded = components['schemas']['Recorded'];
type Kind = components['schemas']['Kind'];

const FIELDS = ['person', 'document', 'agent', 'event', 'from', 'to'] as const;
type FieldName = (typeof FIELDS)[number];
type Wanted = Readonly<Partial<Record<FieldName, string>>>;

const EVENTS: Record<Kind, string> = {
  retrieved: 'Retrieved',
  ingested: 'Ingested',
  token_issued: 'Token issued',
  token_refused: 'Token refused',
  token_revoked: 'Token revoked',
  agent_created: 'Agent created',
  agent_revoked: 'Agent revoked',
  delegated: 'Delegated',
  delegation_revoked: 'Delegation taken back',
  key_rotated: 'Key rotated',
  vault_read: 'Vault read',
  vault_refused: 'Vault refused',
  claims_seen: 'New claims seen',
  pruned: 'Old records removed',
  admin: 'Administered',
};
const SHOWN = 50;
/** How many documents of a record are named before the rest is only counted. */
const NAMED = 3;

function search(wanted: Wanted, before: number | null, signal?: AbortSignal) {
  const { event, from, to, ...same } = wanted;
  const query = {
    ...same,
    ...(event ? { event: event as Kind } : {}),
    ...(from ? { from: new Date(from).toISOString() } : {}),
    ...(to ? { to: new Date(to).toISOString() } : {}),
    ...(before === null ? {} : { before }),
    limit: SHOWN,
  };
  return call('get', '/api/admin/audit', { query, ...(signal ? { signal } : {}) });
}

/** The form, and what it finds. */
export function Audit(): JSX.Element {
  const [wanted, setWanted] = useState<Wanted>({});
  const load = useCallback((signal: AbortSignal) => search(wanted, null, signal), [wanted]);
  const first = useLoaded(load);
  return (
    <section aria-label="Audit trail">
      <Form key={JSON.stringify(wanted)} wanted={wanted} look={setWanted} />
      <Await from={first}>
        {(page) => <Found key={page.records[0]?.seq ?? 0} wanted={wanted} first={page} look={setWanted} />}
      </Await>
      <p class="hint">A search is on record, too. What was asked is not: only who asked, and which documents were returned.</p>
    </section>
  );
}

function Form({ wanted, look }: { readonly wanted: Wanted; readonly look: (wanted: Wanted) => void }): JSX.Element {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const written = FIELDS.map((name) => [name, text(fields, name)] as const);
    look(Object.fromEntries(written.filter(([, value]) => value !== '')));
  };
  const words = (name: FieldName, title: string) => (
    <Field name={title}>
      {(id) => <input id={id} name={name} defaultValue={wanted[name] ?? ''} autocomplete="off" spellcheck={false} />}
    </Field>
  );
  const time = (name: FieldName, title: string) => (
    <Field name={title}>
      {(id) => <input id={id} name={name} type="datetime-local" defaultValue={wanted[name] ?? ''} />}
    </Field>
  );
  return (
    <form class="search" role="search" aria-label="Audit trail" onSubmit={submit}>
      {words('person', 'Person')}
      {words('document', 'Document')}
      {words('agent', 'Agent')}
      <Field name="Event">
        {(id) => (
          <select id={id} name="event" defaultValue={wanted.event ?? ''}>
            <option value="">Any</option>
            {Object.entries(EVENTS).map(([kind, words]) => <option key={kind} value={kind}>{words}</option>)}
          </select>
        )}
      </Field>
      {time('from', 'From')}
      {time('to', 'To')}
      <div class="buttons">
        <button type="submit" class="button strong">Search</button>
        {Object.keys(wanted).length > 0 && <button type="button" class="button" onClick={() => look({})}>Clear</button>}
      </div>
    </form>
  );
}

function Found(given: {
  readonly wanted: Wanted;
  readonly first: { readonly records: readonly Recorded[]; readonly next?: number | null };
  readonly look: (wanted: Wanted) => void;
}): JSX.Element {
  const { wanted, look } = given;
  const [records, setRecords] = useState(given.first.records);
  const [next, setNext] = useState(given.first.next ?? null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  if (records.length === 0) return <p class="empty">Nothing on record matches this.</p>;
  const older = () => {
    search(wanted, next).then(
      (page) => {
        setRecords([...records, ...page.records]);
        setNext(page.next ?? null);
        setTrouble(null);
      },
      (error: unknown) => setTrouble(asProblem(error)),
    );
  };
  const narrow = (field: FieldName, value: string) => (
    <button type="button" class="link" onClick={() => look({ ...wanted, [field]: value })} title={`Only records of ${value}`}>
      {value}
    </button>
  );
  const columns: Column<Recorded>[] = [
    { name: 'Time', cell: ({ time }) => <time dateTime={time}>{moment(time)}</time> },
    { name: 'Event', kind: 'main', cell: (record) => <What record={record} /> },
    { name: 'Who', kind: 'name', cell: ({ agent, subject }) => (agent ? narrow('agent', agent) : subject ? narrow('person', subject) : <span class="quiet">the server</span>) },
    { name: 'Documents', cell: ({ document_ids: ids = [] }) => <Documents ids={ids} narrow={(id) => narrow('document', id)} /> },
  ];
  return (
    <>
      <Table caption="Records, newest first" columns={columns} rows={records} rowKey={(record) => record.seq} />
      {trouble && <Trouble problem={trouble} again={older} />}
      {next !== null && <button type="button" class="button older" onClick={older}>Show older records</button>}
    </>
  );
}

function What({ record: { kind, outcome, scope, detail } }: { readonly record: Recorded }): JSX.Element {
  return (
    <>
      <strong>{EVENTS[kind]}</strong>
      {outcome !== 'ok' && <span class="chip warn">{outcome}</span>}
      {(scope ?? detail) !== undefined && <div class="quiet small words">{[scope, detail].filter(Boolean).join(' · ')}</div>}
    </>
  );
}

function Documents({ ids, narrow }: { readonly ids: readonly string[]; readonly narrow: (id: string) => JSX.Element }): JSX.Element {
  if (ids.length === 0) return <span class="quiet">none</span>;
  return (
    <ul class="documents">
      {ids.slice(0, NAMED).map((id) => <li key={id}>{narrow(id)}</li>)}
      {ids.length > NAMED && (
        <li>
          <details>
            <summary>{ids.length - NAMED} more</summary>
            <ul>{ids.slice(NAMED).map((id) => <li key={id}>{narrow(id)}</li>)}</ul>
          </details>
        </li>
      )}
    </ul>
  );
}
