// Search in the audit trail.

import type { JSX } from 'preact';
import { useCallback, useMemo, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { Problem } from '../api/problem';
import type { components } from '../api/schema';
import { about, go } from '../router';
import { Said } from './claims-form';
import { useAnew } from './form';
import { whoReads } from './links';
import { asProblem, useLoaded } from './loaded';
import { Await, Field, Table, Trouble, type Column } from './parts';
import { EVENTS, inWords, rest } from './recorded';
import { moment } from './words';

type Recorded = components['schemas']['Recorded'];
type Kind = components['schemas']['Kind'];

const FIELDS = ['person', 'document', 'agent', 'event', 'from', 'to'] as const;
type FieldName = (typeof FIELDS)[number];
type Wanted = Readonly<Partial<Record<FieldName, string>>>;

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

/** What an address looks for. */
function wantedIn(address: URLSearchParams): Wanted {
  const written = FIELDS.map((name) => [name, address.get(name)?.trim() ?? ''] as const);
  return Object.fromEntries(written.filter(([, value]) => value !== ''));
}

function look(wanted: Wanted): void {
  const query = new URLSearchParams(wanted).toString();
  go(query === '' ? '/admin/audit' : `/admin/audit#${query}`);
}

/** The form, and what it finds. */
export function Audit(): JSX.Element {
  const address = about.value;
  const wanted = useMemo(() => wantedIn(address), [address]);
  const load = useCallback((signal: AbortSignal) => search(wanted, null, signal), [wanted]);
  const first = useLoaded(load);
  return (
    <section aria-label="Audit trail">
      <Form wanted={wanted} />
      {wanted.document && <p class="summary"><a class="link" href={whoReads({ document: wanted.document })}>Who can read {wanted.document} now?</a></p>}
      <Await from={first}>
        {(page) => <Found wanted={wanted} first={page} />}
      </Await>
      <p class="hint">A search is on record, too. What was asked is not: only who asked, and which documents were returned.</p>
    </section>
  );
}

function Form({ wanted }: { readonly wanted: Wanted }): JSX.Element {
  const [written, write] = useAnew(wanted, (wanted) => wanted);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    look(wantedIn(new URLSearchParams(written)));
  };
  const field = (name: FieldName) => ({
    value: written[name] ?? '',
    onInput: (event: InputEvent) => write({ ...written, [name]: (event.currentTarget as HTMLInputElement).value }),
  });
  const words = (name: FieldName, title: string) => (
    <Field name={title}>{(id) => <input id={id} {...field(name)} autocomplete="off" spellcheck={false} />}</Field>
  );
  const time = (name: FieldName, title: string) => <Field name={title}>{(id) => <input id={id} type="datetime-local" {...field(name)} />}</Field>;
  return (
    <form class="search" role="search" aria-label="Audit trail" onSubmit={submit}>
      {words('person', 'Person')}
      {words('document', 'Document')}
      {words('agent', 'Agent')}
      <Field name="Event">
        {(id) => (
          <select id={id} value={written.event ?? ''} onChange={(event) => write({ ...written, event: event.currentTarget.value })}>
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

interface Page {
  readonly records: readonly Recorded[];
  readonly next?: number | null;
}

function Found({ wanted, first }: { readonly wanted: Wanted; readonly first: Page }): JSX.Element {
  const [{ records, next }, setPage] = useAnew(first, (page) => page);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  if (records.length === 0) return <p class="empty">Nothing on record matches this.</p>;
  const older = () => {
    search(wanted, next ?? null).then(
      (page) => {
        setPage({ ...page, records: [...records, ...page.records] });
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
    { name: 'Who', kind: 'name', cell: (record) => <Who record={record} narrow={narrow} /> },
    { name: 'Documents', kind: 'wide', cell: ({ document_ids: ids = [] }) => <Documents ids={ids} narrow={(id) => narrow('document', id)} /> },
  ];
  return (
    <>
      <Table caption="Records, newest first" columns={columns} rows={records} rowKey={(record) => record.seq} />
      {trouble && <Trouble problem={trouble} again={older} />}
      {next !== undefined && next !== null && <button type="button" class="button older" onClick={older}>Show older records</button>}
    </>
  );
}

function What({ record }: { readonly record: Recorded }): JSX.Element {
  const { outcome, claims } = record;
  const { title, more } = inWords(record);
  return (
    <>
      <strong class="words">{title}</strong> {outcome !== 'ok' && <span class="chip warn">{outcome}</span>}
      {more !== '' && <div class="quiet small words">{more}</div>}
      {claims && <Said claims={claims.said} />}
      <details class="small">
        <summary>Record {record.seq}</summary>
        <dl class="record">
          {rest(record).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </details>
    </>
  );
}

/** The person, the agent, or the agent and who did it to the agent. */
function Who({ record: { agent, subject }, narrow }: { readonly record: Recorded; readonly narrow: (field: FieldName, value: string) => JSX.Element }): JSX.Element {
  const person = subject && !(agent && subject.startsWith('spiffe://')) ? subject : null;
  if (!agent && person === null) return <span class="quiet">the server</span>;
  return (
    <>
      {person !== null && <div>{narrow('person', person)}</div>}
      {agent && <div>{person !== null && <span class="quiet">agent </span>}{narrow('agent', agent)}</div>}
    </>
  );
}

function Documents({ ids, narrow }: { readonly ids: readonly string[]; readonly narrow: (id: string) => JSX.Element }): JSX.Element {
  if (ids.length === 0) return <span class="quiet">–</span>;
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
