// Labels, and how many documents each has.

import type { JSX } from 'preact';

import { call } from '../api/client';
import type { components } from '../api/schema';
import { useLoaded } from './loaded';
import { Await, Table, type Column } from './parts';
import { count, number, values } from './words';

/** One combination of attribute values, and what has it. */
export type Label = components['schemas']['LabelExtent'];

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

/** Labels with their attributes in columns, the largest first. */
export function LabelTable({ labels, empty }: { readonly labels: readonly Label[]; readonly empty: string }): JSX.Element {
  if (labels.length === 0) return <p class="empty">{empty}</p>;
  const names = [...new Set(labels.flatMap((label) => Object.keys(label.attributes ?? {})))];
  const columns: Column<Label>[] = [
    ...names.map((name, n): Column<Label> => ({
      name,
      ...(n === 0 ? { kind: 'main' as const } : {}),
      cell: ({ attributes }) => (attributes ? values(attributes[name]) || <span class="quiet">–</span> : <Quarantine first={n === 0} />),
    })),
    { name: 'Documents', kind: 'number', cell: ({ documents }) => number(documents) },
    { name: 'Chunks', kind: 'number', cell: ({ chunks }) => number(chunks) },
  ];
  const largest = labels.toSorted((a, b) => b.documents - a.documents);
  return <Table caption="Labels" columns={columns} rows={largest} rowKey={(label) => JSON.stringify(label.attributes)} />;
}

function Quarantine({ first }: { readonly first: boolean }): JSX.Element {
  return first ? <span class="chip warn">in quarantine</span> : <span class="quiet">–</span>;
}
