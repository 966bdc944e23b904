// Without a network the app opens, keeps questions, and asks them later.

import { databases } from './disk.mjs';
import { ask, expect, lastTurn, question, signOut, test } from './fixtures.mjs';

test.use({ tolerated: [/ERR_INTERNET_DISCONNECTED|ERR_FAILED|Failed to fetch/] });

const WAITS = 'Waits for the server.';

test('a question that was asked offline is answered when the network is back', async ({ person }) => {
  const page = await person('alice');
  await ask(page, 'What is project Phoenix?');
  await page.context().setOffline(true);
  await question(page).fill('What is Atlas?');
  await question(page).press('Enter');
  await expect(lastTurn(page)).toContainText(WAITS);
  await page.context().setOffline(false);
  await expect(lastTurn(page)).not.toContainText(WAITS, { timeout: 15_000 });
  await expect(lastTurn(page).getByRole('list', { name: 'Sources' })).toBeVisible();
});

test('a question that waits can be withdrawn, and is not asked', async ({ person }) => {
  const page = await person('alice');
  await page.context().setOffline(true);
  await question(page).fill('What is Atlas?');
  await question(page).press('Enter');
  await expect(lastTurn(page)).toContainText(WAITS);
  await lastTurn(page).getByRole('button', { name: 'Withdraw' }).click();
  const asked = [];
  page.context().on('request', (request) => request.url().endsWith('/api/rag/query') && asked.push(request));
  await page.context().setOffline(false);
  await page.waitForTimeout(1500);
  expect(asked).toEqual([]);
  await expect(lastTurn(page)).not.toContainText(WAITS);
});

test('the app opens without a network and says so', async ({ person }) => {
  const page = await person('alice');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.context().setOffline(true);
  await page.reload();
  await expect(page.locator('body')).toContainText(/offline|cannot be reached/i);
});

test('what waits is forgotten at sign-out', async ({ person }) => {
  const page = await person('alice');
  await page.context().setOffline(true);
  await question(page).fill('A question that nobody else shall see');
  await question(page).press('Enter');
  await expect(lastTurn(page)).toContainText(WAITS);
  await signOut(page, { offline: true });
  await expect(page.getByRole('alert')).toContainText('signed out here');
  await page.context().setOffline(false);
  expect(await databases(page)).not.toContain('nobody else shall see');
});
