import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';

import type { Conversation } from './conversations';

/** Closer to the end than this, in pixels, one reads along with what is being written. */
const CLOSE = 96;

/** Where the reader was in each conversation, in pixels from its top. */
const positions = new Map<string, number>();

/** Follows an answer while the reader is at its end, and stays where she is when she is not. */
export function useReading(of: Conversation) {
  const frame = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const atEnd = useSignal(true);
  const count = of.turns.value.length;

  const toEnd = () => {
    const shown = frame.current;
    if (shown) shown.scrollTop = shown.scrollHeight;
  };

  // A new question is always worth seeing.
  useLayoutEffect(() => {
    const before = positions.get(of.id);
    if (before === undefined || frame.current?.dataset['shown'] === 'true') toEnd();
    else if (frame.current) frame.current.scrollTop = before;
    if (frame.current) frame.current.dataset['shown'] = 'true';
  }, [of.id, count]);

  useLayoutEffect(() => {
    const shown = frame.current;
    const grows = content.current;
    if (!shown || !grows) return;
    const look = () => {
      atEnd.value = shown.scrollHeight - shown.scrollTop - shown.clientHeight < CLOSE;
      positions.set(of.id, shown.scrollTop);
    };
    const follow = new ResizeObserver(() => {
      if (atEnd.peek()) toEnd();
      look();
    });
    shown.addEventListener('scroll', look, { passive: true });
    follow.observe(grows);
    follow.observe(shown);
    return () => {
      shown.removeEventListener('scroll', look);
      follow.disconnect();
    };
  }, [of.id, atEnd]);

  return { frame, content, atEnd: atEnd.value, toEnd };
}
