import { useSignal, type Signal } from '@preact/signals';
import { Fragment } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { signInAgain } from '../session/session';
import { Chips } from '../ui/chips';
import { Icon } from '../ui/icon';
import { Markdown } from '../ui/markdown';
import { announce } from './announce';
import { parts } from './citations';
import { again, edit, stop, type Conversation, type Turn } from './conversations';
import { SourceList, title } from './sources';
import { open, shown } from './shown';
import { tryNow } from './waiting';

/** A question and its answer. */
export function TurnView({ turn, of }: { turn: Signal<Turn>; of: Conversation }) {
  const now = turn.value;
  const editing = useSignal(false);
  const heading = `q-${now.id}`;
  const busy = now.progress === 'asking' || now.progress === 'answering';
  return (
    <article class="turn" aria-labelledby={heading} aria-busy={busy}>
      {editing.value ? (
        <EditQuestion
          question={now.question}
          onCancel={() => (editing.value = false)}
          onDone={(question) => {
            editing.value = false;
            edit(of, turn, question);
          }}
        />
      ) : (
        <h2 id={heading}>{now.question}</h2>
      )}
      {now.progress === 'asking' && <Looking />}
      {now.text !== '' && <AnswerText turn={turn} />}
      <State turn={turn} />
      {now.sources && now.progress !== 'asking' && now.sources.source_nodes.length > 0 && (
        <>
          {!busy && <Classification of={now.sources.classification} />}
          <SourceList turn={turn} sources={now.sources} />
        </>
      )}
      {now.progress === 'done' && now.sources?.source_nodes.length === 0 && (
        <p class="quiet">Try other words. What your account opens stands under “Viewing as”, at the top.</p>
      )}
      {!busy && !editing.value && now.progress !== 'queued' && <Actions turn={turn} onEdit={() => (editing.value = true)} />}
    </article>
  );
}

function Looking() {
  return (
    <div class="looking">
      <p>Looking in what you may read</p>
    </div>
  );
}

function AnswerText({ turn }: { turn: Signal<Turn> }) {
  const { text, sources } = turn.value;
  const count = sources?.source_nodes.length ?? 0;
  const weave = (plain: string) =>
    parts(plain, count).map((part, place) => (
      <Fragment key={place}>{'cites' in part ? <Citation turn={turn} source={part.cites} /> : part.text}</Fragment>
    ));
  return (
    <div class="prose answer">
      <Markdown text={text} weave={weave} />
    </div>
  );
}

function Citation({ turn, source }: { turn: Signal<Turn>; source: number }) {
  const node = turn.value.sources?.source_nodes[source - 1];
  const isOpen = shown.value?.turn === turn && shown.value.source === source;
  return (
    <button
      class="citation"
      aria-label={`Source ${source}: ${node ? title(node) : ''}`}
      aria-expanded={isOpen}
      onClick={() => open(turn, source)}
    >
      {source}
    </button>
  );
}

function Classification({ of }: { of: Record<string, unknown> }) {
  if (Object.keys(of).length === 0) return null;
  return (
    <div class="classification">
      <Icon name="shield" />
      <span>As confidential as its sources:</span>
      <Chips of={of} />
    </div>
  );
}

/** Why there is no answer yet, or no whole one, and what to do. */
function State({ turn }: { turn: Signal<Turn> }) {
  const now = turn.value;
  if (now.progress === 'queued') {
    return (
      <div class="notice waits">
        <Icon name="clock" />
        <p>
          <strong>Waits for the server.</strong> It is asked as soon as the server can be reached, within an hour.
        </p>
        <button class="button" onClick={() => void tryNow().then((over) => over || announce('The server still cannot be reached.'))}>
          Try now
        </button>
        <button class="button plain" onClick={() => stop(turn)}>
          Withdraw
        </button>
      </div>
    );
  }
  if (now.progress === 'stopped') return <p class="stopped">{now.text === '' ? 'Not asked to the end.' : 'Stopped here.'}</p>;
  if (now.progress !== 'failed' || !now.problem) return null;
  const signedOut = now.problem.kind === 'signed-out';
  return (
    <div class="notice failed">
      <Icon name={now.problem.kind === 'unreachable' ? 'offline' : 'alert'} />
      <p>{now.problem.message}</p>
      {signedOut ? (
        <button class="button" onClick={() => void signInAgain(now.question).then((worked) => worked && again(turn))}>
          Sign in and ask again
        </button>
      ) : (
        <button class="button" onClick={() => again(turn)}>
          Ask again
        </button>
      )}
    </div>
  );
}

function Actions({ turn, onEdit }: { turn: Signal<Turn>; onEdit: () => void }) {
  const now = turn.value;
  const copied = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(now.text);
      copied.value = true;
      announce('Copied');
      setTimeout(() => (copied.value = false), 2000);
    } catch {
      announce('The browser did not let this be copied.');
    }
  };
  return (
    <div class="actions" role="group" aria-label="This answer">
      {now.text !== '' && (
        <button class="quiet" onClick={() => void copy()}>
          <Icon name={copied.value ? 'check' : 'copy'} /> {copied.value ? 'Copied' : 'Copy'}
        </button>
      )}
      {now.progress !== 'failed' && (
        <button class="quiet" onClick={() => again(turn)}>
          <Icon name="again" /> Ask again
        </button>
      )}
      <button class="quiet" onClick={onEdit}>
        <Icon name="edit" /> Edit
      </button>
    </div>
  );
}

interface Editing {
  question: string;
  onDone: (question: string) => void;
  onCancel: () => void;
}

function EditQuestion({ question, onDone, onCancel }: Editing) {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(question.length, question.length);
  }, [question]);
  const done = () => {
    const text = field.current?.value.trim() ?? '';
    if (text !== '') onDone(text);
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        done();
      }}
    >
      <textarea
        ref={field}
        aria-label="Edit the question"
        defaultValue={question}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && !event.isComposing) {
            event.preventDefault();
            onCancel();
          }
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            done();
          }
        }}
      />
      <div class="row">
        <button class="button strong" type="submit">
          Ask
        </button>
        <button class="button plain" type="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
