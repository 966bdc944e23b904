import type { Signal } from '@preact/signals';

import { Chips, type Attributes } from '../ui/chips';
import type { Source, Sources } from './answer';
import type { Turn } from './conversations';
import { open, shown } from './shown';

/** What the answer was made from, best first. */
export function SourceList({ turn, sources }: { turn: Signal<Turn>; sources: Sources }) {
  return (
    <ol class="sources" aria-label="Sources">
      {sources.source_nodes.map((source, place) => {
        const isOpen = shown.value?.turn === turn && shown.value.source === place + 1;
        return (
          <li key={source.node.id_}>
            <button class="source" aria-expanded={isOpen} onClick={() => open(turn, place + 1)}>
              <span class="number" aria-hidden="true">
                {place + 1}
              </span>
              <span class="what">
                <span class="title">{title(source)}</span>
                <span class="path">{source.node.ref_doc_id}</span>
              </span>
              <Chips of={label(source, sources.classification)} />
            </button>
          </li>
        );
      })}
    </ol>
  );
}

/** What a passage's document is called. */
export function title({ node }: Source): string {
  const { title, name } = node.metadata as { title?: unknown; name?: unknown };
  for (const given of [title, name]) {
    if (typeof given === 'string' && given !== '') return given;
  }
  const heading = /^#\s+(.+)$/m.exec(node.text)?.[1];
  return heading ?? node.ref_doc_id.split('/').at(-1) ?? node.ref_doc_id;
}

/** The attributes that make a passage's label: those that the classification names. */
export function label({ node }: Source, classification: Attributes): Attributes {
  const metadata = node.metadata as Attributes;
  return Object.fromEntries(
    Object.keys(classification)
      .filter((name) => name in metadata)
      .map((name) => [name, metadata[name]]),
  );
}
