// Sending a form once, and showing what came of it.

import { useState } from 'preact/hooks';

import type { Problem } from '../api/problem';
import { asProblem } from './loaded';

/** A form that is being filled in or sent. */
export interface Sending {
  readonly busy: boolean;
  readonly problem: Problem | null;
  /** For the form's `onSubmit`. */
  readonly submit: (event: SubmitEvent) => void;
}

/** Sends a form's fields with `send`; a second press while it is under way does nothing. */
export function useSending(send: (fields: FormData) => Promise<void>): Sending {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    send(new FormData(event.currentTarget as HTMLFormElement)).then(
      () => {
        setProblem(null);
        setBusy(false);
      },
      (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      },
    );
  };
  return { busy, problem, submit };
}

/** State that is made anew whenever its source changes, as when somebody goes back. The fields stay, and with them the focus. */
export function useAnew<Source, State>(source: Source, make: (source: Source) => State): [State, (state: State) => void] {
  const [held, hold] = useState(() => ({ source, state: make(source) }));
  const state = held.source === source ? held.state : make(source);
  return [state, (next) => hold({ source, state: next })];
}

/** A field's text without blanks around it. */
export function text(fields: FormData, name: string): string {
  const value = fields.get(name);
  return typeof value === 'string' ? value.trim() : '';
}
