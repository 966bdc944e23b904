import { describe, expect, test } from 'vitest';

import { endOfSentences } from '../src/chat/announce';
import { marked, parts, quotes } from '../src/chat/citations';

describe('citations', () => {
  test('are cut out of the text, with the space before them', () => {
    expect(parts('It is so. [1][2] And so. [2]', 2)).toEqual([
      { text: 'It is so.' },
      { cites: 1 },
      { cites: 2 },
      { text: ' And so.' },
      { cites: 2 },
    ]);
  });

  test('of sources that are not there stay text', () => {
    expect(parts('See [0] and [7].', 3)).toEqual([{ text: 'See [0] and [7].' }]);
  });

  test('lead to the sentences that they follow', () => {
    const answer = 'The offsite is in Bergen. [2] It lasts a week. [1] [2]\nNobody pays. [3]';
    expect(quotes(answer, 2)).toEqual(['The offsite is in Bergen.', 'It lasts a week.']);
    expect(quotes(answer, 3)).toEqual(['Nobody pays.']);
    expect(quotes(answer, 4)).toEqual([]);
  });

  test('mark the passage where it says the same, and only there', () => {
    expect(marked('Well. The offsite is in Bergen. Bring boots.', ['The offsite is in Bergen.', 'Not there.'])).toEqual([
      { text: 'Well. ', quoted: false },
      { text: 'The offsite is in Bergen.', quoted: true },
      { text: ' Bring boots.', quoted: false },
    ]);
  });
});

test.each([
  ['It is so', 0],
  ['It is so. [1] And', 13],
  ['It costs 2.5 million', 0],
  ['- one\n- two', 6],
])('what is said of %j ends at %i', (text, end) => expect(endOfSentences(text)).toBe(end));
