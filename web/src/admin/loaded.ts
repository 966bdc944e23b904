// What a view shows while it waits for the server, when it arrives, and when it does not.

import { useCallback, useEffect, useState } from 'preact/hooks';

import { Problem, problem } from '../api/problem';

/** What came of a call. */
export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  /** Calls once more. */
  readonly again: () => void;
}

/** Any error as one that has a sentence for people. */
export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : problem('failed');
}

/** Calls when the view opens, and keeps the last good answer while it calls again. An answer to something else does not stay beside a problem. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [last, setLast] = useState<{ readonly load: unknown; readonly value: T } | null>(null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [waiting, setWaiting] = useState(true);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const leaving = new AbortController();
    setWaiting(true);
    load(leaving.signal).then(
      (value) => {
        if (leaving.signal.aborted) return;
        setLast({ load, value });
        setTrouble(null);
        setWaiting(false);
      },
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        setTrouble(asProblem(error));
        setWaiting(false);
      },
    );
    return () => leaving.abort();
  }, [load, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  const value = last && (!trouble || last.load === load) ? last.value : null;
  return { value, problem: trouble, waiting, again };
}
