import { describe, expect, test } from 'vitest';

import { EventReader, eventsOf } from '../src/chat/events';

const STREAM = 'event: token\ndata: {"text":"Grüße, Ω"}\n\n: keep alive\n\nevent: done\r\ndata: {}\r\n\r\n';
const EVENTS = [
  { name: 'token', data: '{"text":"Grüße, Ω"}' },
  { name: 'done', data: '{}' },
];

function streamed(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
}

describe('server-sent events', () => {
  test.each([1, 2, 3, 7, 1000])('are the same in pieces of %i bytes, through letters and line ends', async (size) => {
    const found = [];
    for await (const event of eventsOf(streamed(new TextEncoder().encode(STREAM), size))) found.push(event);
    expect(found).toEqual(EVENTS);
  });

  test('join data of several lines, and know fields without a value', () => {
    expect(new EventReader().read('data: one\ndata\ndata:two\nid: 7\n\n')).toEqual([{ name: 'message', data: 'one\n\ntwo' }]);
  });

  test('that are cut off in the middle are none', async () => {
    const found = [];
    for await (const event of eventsOf(streamed(new TextEncoder().encode('data: whole\n\nevent: token\ndata: ha'), 5))) found.push(event);
    expect(found).toEqual([{ name: 'message', data: 'whole' }]);
  });

  test('that nobody listens to any longer are cancelled', async () => {
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('data: again\n\n')),
      cancel: () => void (cancelled = true),
    });
    for await (const event of eventsOf(endless)) {
      expect(event.data).toBe('again');
      break;
    }
    expect(cancelled).toBe(true);
  });
});
