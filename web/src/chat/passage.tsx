import { useSignal } from '@preact/signals';
import { Fragment } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { call } from '../api/client';
import { Problem } from '../api/problem';
import { me } from '../session/me';
import { Chips } from '../ui/chips';
import { Icon } from '../ui/icon';
import { Markdown } from '../ui/markdown';
import type { Source, Sources } from './answer';
import { marked, quotes } from './citations';
import { close, open, type Shown } from './shown';
import { label, title } from './sources';
import { Why } from './why';

/** A source beside the answer: its passage, its label, and why one may read it. */
export function Passage({ shown }: { shown: Shown }) {
  const { sources, text } = shown.turn.value;
  const source = sources?.source_nodes[shown.source - 1];
  if (!sources || !source) return null;
  return <Open key={source.node.id_} shown={shown} source={source} sources={sources} answer={text} />;
}

interface Props {
  shown: Shown;
  source: Source;
  sources: Sources;
  answer: string;
}

function Open({ shown, source, sources, answer }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const whole = useSignal<string | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => heading.current?.focus(), [source]);

  const quoted = quotes(answer, shown.source);
  const weave = (plain: string) =>
    marked(plain, quoted).map((piece, place) => <Fragment key={place}>{piece.quoted ? <mark>{piece.text}</mark> : piece.text}</Fragment>);
  const showWhole = async () => {
    try {
      whole.value = (await call('get', '/api/documents/{id}', { path: { id: source.node.ref_doc_id } })).text;
      problem.value = null;
    } catch (error) {
      problem.value = error instanceof Problem ? error.message : 'The document could not be shown.';
    }
  };
  const count = sources.source_nodes.length;

  return (
    <section class="passage" aria-labelledby="passage-title">
      <header>
        <p class="count">
          Source {shown.source} of {count}
        </p>
        <button class="tap" aria-label="Previous source" disabled={shown.source === 1} onClick={() => open(shown.turn, shown.source - 1)}>
          <Icon name="left" />
        </button>
        <button class="tap" aria-label="Next source" disabled={shown.source === count} onClick={() => open(shown.turn, shown.source + 1)}>
          <Icon name="right" />
        </button>
        <button class="tap" aria-label="Close" title="Close (Esc)" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <div class="scrolls" tabIndex={0} role="group" aria-label="Passage and label">
        <h2 id="passage-title" ref={heading} tabIndex={-1}>
          {title(source)}
        </h2>
        <p class="path">{source.node.ref_doc_id}</p>
        <Chips of={label(source, sources.classification)} />
        <Why document={source.node.ref_doc_id} />
        {me.value?.administrator && (
          <p>
            <a href={`/admin/who#${new URLSearchParams({ document: source.node.ref_doc_id }).toString()}`}>Who else can read this?</a>
          </p>
        )}
        <div class="prose text">
          <Markdown text={untitled(whole.value ?? source.node.text, title(source))} weave={weave} />
        </div>
        {problem.value && <p class="bad">{problem.value}</p>}
        {whole.value === null && (
          <button class="button" onClick={() => void showWhole()}>
            <Icon name="page" /> Show the whole document
          </button>
        )}
        <Origin of={source} />
      </div>
    </section>
  );
}

/** The text without the title that stands above it. */
function untitled(text: string, title: string): string {
  const [first = '', ...rest] = text.split('\n');
  return first.replace(/^#\s+/, '').trim() === title ? rest.join('\n') : text;
}

function Origin({ of }: { of: Source }) {
  const { ingested_at: at, ingested_by: by } = of.node.metadata as { ingested_at?: unknown; ingested_by?: unknown };
  if (typeof at !== 'string' || typeof by !== 'string') return null;
  const day = new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return (
    <p class="origin">
      Brought in by {by.split('/').at(-1)} on {day}.
    </p>
  );
}
