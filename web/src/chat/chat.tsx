import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { me } from '../session/me';
import { path, go } from '../router';
import { Beside } from '../ui/beside';
import { Icon } from '../ui/icon';
import { Composer } from './composer';
import { add, begin, find, type Conversation } from './conversations';
import { looked } from './keep';
import { Passage } from './passage';
import { shown, close } from './shown';
import { TurnView } from './turn';
import { useReading } from './reading';

/** The conversation that the address names, or the beginning of one. */
export function Chat() {
  const id = /^\/c\/([^/]+)/.exec(path.value)?.[1];
  const current = id === undefined ? undefined : find(id);
  const complete = looked.value;
  const asked = (question: string) => {
    if (current) add(current, question);
    else go(`/c/${begin(question).id}`);
  };

  const title = current?.title.value;
  useEffect(() => {
    document.title = title === undefined ? 'Bailiwick' : `${title} · Bailiwick`;
  }, [title]);
  useEffect(() => close, [id]);
  useEffect(() => {
    // It was not kept, or belongs to somebody else.
    if (id !== undefined && !current && complete) go('/', { replace: true });
  }, [id, current, complete]);

  return (
    <>
      <main class="column" id="main" tabIndex={-1}>
        {current ? <Thread key={current.id} of={current} /> : <Beginning onAsk={asked} />}
        <Composer onAsk={asked} of={current ?? null} />
      </main>
      <Beside side="right" label="Passage" roomFrom="75rem" open={shown.value !== null} onClose={close}>
        {shown.value && <Passage shown={shown.value} />}
      </Beside>
    </>
  );
}

function Thread({ of }: { of: Conversation }) {
  const { frame, content, atEnd, toEnd } = useReading(of);
  return (
    <div class="thread" ref={frame} tabIndex={-1}>
      <div class="turns" ref={content}>
        <h1 class="hidden-visually">{of.title}</h1>
        {of.turns.value.map((turn) => (
          <TurnView key={turn.peek().id} turn={turn} of={of} />
        ))}
      </div>
      {!atEnd && (
        <button class="to-end" onClick={toEnd} aria-label="To the end">
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

function Beginning({ onAsk }: { onAsk: (question: string) => void }) {
  const seen = me.value;
  const nothing = seen?.bailiwick.labels === 0;
  return (
    <div class="thread">
      <div class="beginning">
        <h1>{nothing ? 'Your account opens nothing here yet' : 'What would you like to know?'}</h1>
        {nothing ? <Nothing missing={seen.missing} /> : <p class="lead">{seen ? extent(seen.bailiwick) : ' '}</p>}
        {!nothing && <Suggestions onAsk={onAsk} />}
      </div>
    </div>
  );
}

function Nothing({ missing }: { missing: readonly string[] }) {
  return (
    <>
      <p class="lead">You are signed in, but no document may be read with what your account says about you.</p>
      {missing.length > 0 && (
        <p class="lead">
          Your sign-in does not say: <strong>{missing.join(', ')}</strong>. Ask whoever looks after accounts to add it, then sign in again.
        </p>
      )}
    </>
  );
}

function Suggestions({ onAsk }: { onAsk: (question: string) => void }) {
  const questions = useSignal<readonly string[]>([]);
  useEffect(() => {
    void fetch('/app-config.json')
      .then(async (response) => ((await response.json()) as { suggestions?: string[] }).suggestions ?? [])
      .then((found) => (questions.value = found), () => undefined);
  }, [questions]);
  if (questions.value.length === 0) return null;
  return (
    <ul class="suggestions" aria-label="Questions to begin with">
      {questions.value.map((question) => (
        <li key={question}>
          <button onClick={() => onAsk(question)}>{question}</button>
        </li>
      ))}
    </ul>
  );
}

function extent({ chunks, labels }: { chunks: number; labels: number }): string {
  const passages = chunks === 1 ? '1 passage' : `${chunks.toLocaleString('en')} passages`;
  const under = labels === 1 ? '1 label' : `${labels.toLocaleString('en')} labels`;
  return `You may read ${passages} under ${under}. Every answer is made of these alone, and names its sources.`;
}
