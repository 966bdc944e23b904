// @vitest-environment happy-dom
import { render } from 'preact';
import { afterEach, describe, expect, test } from 'vitest';

import { Markdown } from '../src/ui/markdown';

const place = document.createElement('div');
const shown = (text: string) => {
  render(<Markdown text={text} />, place);
  return place;
};

afterEach(() => render(null, place));

describe('text of documents and models', () => {
  test('is never made markup', () => {
    const hostile = '<img src=x onerror=alert(1)> <script>alert(1)</script>\n\n<iframe src="//evil.test"></iframe>';
    expect(shown(hostile).querySelector('img, script, iframe')).toBeNull();
    expect(place.textContent).toContain('<script>alert(1)</script>');
  });

  test('loads no picture and follows no address but the web’s', () => {
    shown('![map](https://evil.test/p.png) [run](javascript:alert(1)) [data](data:text/html,x) [site](https://acme.test/)');
    expect(place.querySelector('img')).toBeNull();
    expect([...place.querySelectorAll('a')].map((link) => link.getAttribute('href'))).toEqual(['https://acme.test/']);
    expect(place.querySelector('a')?.getAttribute('rel')).toBe('noopener noreferrer');
    expect(place.textContent).toContain('run');
  });

  test('keeps its form', () => {
    shown('## Title\n\n#### Part\n\nA **strong** word and `code`.\n\n3. three\n4. four\n\n| a | b |\n|---|---|\n| 1 | 2 |');
    expect(['h3', 'h4'].map((level) => place.querySelector(level)?.textContent)).toEqual(['Title', 'Part']);
    expect(place.querySelector('strong')?.textContent).toBe('strong');
    expect(place.querySelector('ol')?.getAttribute('start')).toBe('3');
    expect([...place.querySelectorAll('td')].map((cell) => cell.textContent)).toEqual(['1', '2']);
  });
});
