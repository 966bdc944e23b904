// Labels, and how many documents each has.

import type { JSX } from 'preact';

import { call } from '../api/client';
import type { Attributes } from '../ui/chips';
import { whoReads } from './links';
import { useLoaded } from './loaded';
import { Await, Table, type Column } from './parts';
import { count, inWords, number, values } from './words';

const load = (signal: AbortSignal) => call('get', '/api/admin/labels', { signal });

/** Every label that a document has now. */
export function Labels(): JSX.Element {
  return (
    <section aria-label="Labels">
      <Await from={useLoaded(load)}>
        {({ labels, documents, chunks }) => (
          <>
            <p class="summary">
              {count(documents, 'document')} in {count(chunks, 'chunk')} under {count(labels.length, 'label')}
            </p>
            <LabelTable labels={labels} empty="No document is stored yet." />
          </>
        )}
      </Await>
    </section>
  );
}

/** A label's attributes, and how much has it. */
interface Counted {
  readonly attributes?: Attributes | null;
  readonly documents: number;
  readonly chunks?: number;
}

/** Labels with their attributes in columns, the largest first. */
export function LabelTable(given: { readonly caption?: string; readonly labels: readonly Counted[]; readonly empty: string }): JSX.Element {
  const { caption = 'Labels', labels, empty } = given;
  if (labels.length === 0) return <p class="empty">{empty}</p>;
  const names = [...new Set(labels.flatMap((label) => Object.keys(label.attributes ?? {})))];
  const chunks: Column<Counted> = { name: 'Chunks', kind: 'number', cell: ({ chunks }) => number(chunks ?? 0) };
  const columns: Column<Counted>[] = [
    ...names.map((name, n): Column<Counted> => ({
      name,
      ...(n === 0 ? { kind: 'main' as const } : {}),
      cell: ({ attributes }) => (attributes ? values(attributes[name]) || <span class="quiet">–</span> : <Quarantine first={n === 0} />),
    })),
    { name: 'Documents', kind: 'number', cell: ({ documents }) => number(documents) },
    ...(labels.some((label) => label.chunks !== undefined) ? [chunks] : []),
    { name: 'Actions', kind: 'actions', cell: ({ attributes }) => attributes && <WhoReads label={attributes} /> },
  ];
  const largest = labels.toSorted((a, b) => b.documents - a.documents);
  return <Table short caption={caption} columns={columns} rows={largest} rowKey={(label) => JSON.stringify(label.attributes)} />;
}

function WhoReads({ label }: { readonly label: Attributes }): JSX.Element {
  return <a class="link small" href={whoReads({ label })} aria-label={`Who can read ${inWords(label)}?`}>Who?</a>;
}

function Quarantine({ first }: { readonly first: boolean }): JSX.Element {
  return first ? <span class="chip warn">in quarantine</span> : <span class="quiet">–</span>;
}
