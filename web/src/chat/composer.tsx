import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { online } from '../online';
import { carriedDraft } from '../session/session';
import { Icon } from '../ui/icon';
import { stop, type Conversation } from './conversations';
import { close, shown } from './shown';

/** The most that the server takes, in bytes of UTF-8. */
const LONGEST = 8192;

/** Where questions are written. */
export function Composer({ onAsk, of }: { onAsk: (question: string) => void; of: Conversation | null }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const draft = carriedDraft;
  const tooLong = useSignal(false);
  const busy = of?.turns.value.find((turn) => turn.value.progress === 'asking' || turn.value.progress === 'answering');

  useEffect(() => {
    // On a phone, focus would bring up the keyboard over what is there to read.
    if (matchMedia('(hover: hover)').matches) field.current?.focus({ preventScroll: true });
  }, [of]);

  useEffect(() => {
    const anywhere = (event: KeyboardEvent) => {
      const inField = (event.target as HTMLElement).closest('input, textarea, select, dialog') !== null;
      if (event.key === '/' && !inField && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        field.current?.focus();
      }
      if (event.key === 'Escape' && isFree(event)) {
        // A passage that is open is closed first.
        if (shown.peek()) close();
        else if (busy) stop(busy);
      }
    };
    addEventListener('keydown', anywhere);
    return () => removeEventListener('keydown', anywhere);
  }, [busy]);

  const send = () => {
    const question = draft.value.trim();
    if (question === '' || busy || tooLong.value) return;
    draft.value = '';
    onAsk(question);
  };
  const key = (event: KeyboardEvent) => {
    // While a word is being composed, Enter accepts the word.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="field">
        <label class="hidden-visually" for="question">
          Your question
        </label>
        <textarea
          id="question"
          ref={field}
          rows={Math.min(draft.value.split('\n').length, 6)}
          placeholder="Ask a question"
          aria-describedby="composer-hint"
          aria-keyshortcuts="/"
          enterkeyhint="send"
          value={draft}
          onInput={(event) => {
            draft.value = event.currentTarget.value;
            tooLong.value = new TextEncoder().encode(draft.value).length > LONGEST;
          }}
          onKeyDown={key}
        />
        {busy ? (
          <button type="button" class="send" aria-label="Stop" title="Stop (Esc)" onClick={() => stop(busy)}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="send" aria-label="Ask" title="Ask (Enter)" aria-disabled={draft.value.trim() === ''}>
            <Icon name="up" />
          </button>
        )}
      </div>
      <p class="hint" id="composer-hint">
        <Hint tooLong={tooLong.value} />
      </p>
    </form>
  );
}

/** Whether a key is not for something above the page: a word that is composed, a field, a dialog, what a button opened. */
function isFree(event: KeyboardEvent): boolean {
  return !event.defaultPrevented && !event.isComposing && document.querySelector('dialog[open], :popover-open') === null;
}

function Hint({ tooLong }: { tooLong: boolean }) {
  if (tooLong) return <span class="bad">This is longer than a question may be. Shorten it.</span>;
  if (!online.value) {
    return (
      <span class="offline">
        <Icon name="offline" /> You are offline. A question is kept on this device for at most an hour, and asked when you are back.
      </span>
    );
  }
  return (
    <span class="keys">
      <kbd>Enter</kbd> to ask, <kbd>Shift</kbd> <kbd>Enter</kbd> for a new line
    </span>
  );
}
