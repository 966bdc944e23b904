// Signing out, and sessions that end in other ways.

import { ask, expect, question, signIn, signOut, test } from './fixtures.mjs';

// A request without a session is refused, and the browser says so.
test.use({ tolerated: [/status of 401/] });

test('signing out in one tab signs out the other, the worker and the provider', async ({ person, demo }) => {
  const first = await person('alice');
  const second = await first.context().newPage();
  await second.goto(demo.url);
  await expect(question(second)).toBeVisible();
  await ask(second, 'What is project Phoenix?');
  await signOut(first);
  await expect(second.getByRole('alert')).toContainText('signed out in another tab');
  await expect(second.getByText('leak sensor')).toHaveCount(0);
  await expect(second).toHaveTitle('Bailiwick');
  await expect(second.locator('[aria-live]')).toBeEmpty();
  const refused = await second.evaluate(() => fetch('/api/me').then(({ status }) => status));
  expect(refused).toBe(401);
  await second.reload();
  await expect(second.getByRole('button', { name: 'Sign in' })).toBeVisible();
});

test('another person who signs in in the same profile takes the place of the first', async ({ person, demo }) => {
  const page = await person('alice');
  await ask(page, 'What is project Phoenix?');
  await signOut(page);
  await signIn(page, 'bob');
  await expect(await ask(page, 'What is project Phoenix?')).toContainText('trade-in');
  await expect(page.getByText('leak sensor')).toHaveCount(0);
  await page.goto(demo.url);
  await expect(page.getByRole('button', { name: 'Viewing as Bob Miller' })).toBeVisible();
});
