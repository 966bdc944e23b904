import { readFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';
import { expect, test } from 'vitest';

test('the types are those of openapi.json; if not, `npm run types` makes them', async () => {
  const here = new URL('..', import.meta.url);
  const made = astToString(await openapiTS(new URL('openapi.json', here), { alphabetize: true, defaultNonNullable: false }));
  const kept = readFileSync(new URL('src/api/schema.ts', here), 'utf8');
  // The command line writes a notice above.
  expect(kept.slice(kept.indexOf('export interface paths'))).toBe(made.slice(made.indexOf('export interface paths')));
}, 30_000);
