import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

import type { Conversation } from './conversations';

/** Closer to the end than this, in pixels, counts as there. */
const CLOSE = 96;

/** Where the reader was in each conversation, in pixels from its top. */
const positions = new Map<string, number>();

/**
 * Begins each new question at the top, and then leaves the page where the reader has it. Follows
 * what is written only after she asked for the end, until she turns back.
 */
export function useReading(of: Conversation) {
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const follows = useRef(false);
  const begun = useRef(0);
  const atEnd = useSignal(true);
  const count = of.turns.value.length;

  const toEnd = () => {
    follows.current = true;
    const shown = frame.current;
    if (shown) shown.scrollTop = shown.scrollHeight;
  };

  useLayoutEffect(() => {
    const shown = frame.current;
    const last = content.current?.lastElementChild as HTMLElement | null | undefined;
    const returned = begun.current === 0 ? positions.get(of.id) : undefined;
    if (shown && returned !== undefined) shown.scrollTop = returned;
    else if (shown && last && count > begun.current) shown.scrollTop = last.offsetTop;
    begun.current = count;
    follows.current = false;
  }, [of.id, count]);

  useLayoutEffect(() => {
    const shown = frame.current;
    const grows = content.current;
    if (!shown || !grows) return;
    const look = () => {
      atEnd.value = shown.scrollHeight - shown.scrollTop - shown.clientHeight < CLOSE;
      if (!atEnd.peek()) follows.current = false;
      positions.set(of.id, shown.scrollTop);
    };
    const grown = new ResizeObserver(() => {
      if (follows.current) shown.scrollTop = shown.scrollHeight;
      look();
    });
    shown.addEventListener('scroll', look, { passive: true });
    grown.observe(grows);
    grown.observe(shown);
    return () => {
      shown.removeEventListener('scroll', look);
      grown.disconnect();
    };
  }, [of.id, atEnd]);

  return { frame, content, atEnd: atEnd.value, toEnd };
}
