// Nothing of a token is ever found on a disk.

import { rmSync } from 'node:fs';
import { chromium } from '@playwright/test';

import { databases, filesWith, stores } from './disk.mjs';
import { ask, expect, killWorkers, lastTurn, question, signIn, signOut, test, tokensOf, watch } from './fixtures.mjs';
import { folder } from './world.mjs';

/** A whole token, its payload, its signature, and a middle piece of each, in case they are kept in pieces. */
function pieces(token) {
  const [, payload, signature] = token.split('.');
  const middle = (text) => text.slice(text.length >> 2, (text.length >> 2) + 32);
  return [payload.slice(0, 32), middle(payload), signature.slice(0, 32), middle(signature)];
}

test('no store and no byte of the profile holds anything of a token', async ({ demo, launchOptions }) => {
  const profile = folder('profile');
  const complaints = [];
  const context = await chromium.launchPersistentContext(profile, { ...launchOptions, headless: true });
  try {
    await watch(context, complaints, [/ERR_INTERNET_DISCONNECTED/]);
    const page = await context.newPage();
    const tokens = tokensOf(page);
    await page.goto(demo.url);
    await signIn(page, 'alice');
    await page.getByRole('switch', { name: /Keep my conversations/ }).check();
    await ask(page, 'What is project Phoenix?');
    await killWorkers(page);
    await ask(page, 'What is Atlas?');
    await context.setOffline(true);
    await question(page).fill('A question that waits');
    await question(page).press('Enter');
    await expect(lastTurn(page)).toContainText('Waits for the server.');
    await page.waitForTimeout(1000);

    expect(tokens.length, 'the test saw the tokens that it looks for').toBeGreaterThan(0);
    const wanted = tokens.flatMap(pieces);
    const kept = `${await databases(page)}\n${await stores(page)}`;
    expect(kept, 'the test sees what is kept').toContain('A question that waits');
    for (const piece of wanted) expect(kept.includes(piece), 'a store holds a piece of a token').toBe(false);

    await context.setOffline(false);
    await expect(lastTurn(page)).not.toContainText('Waits for the server.', { timeout: 15_000 });
    await context.close();
    expect(filesWith(profile, ['project Phoenix']), 'the test reads what the browser wrote').not.toEqual([]);
    expect(filesWith(profile, wanted)).toEqual([]);
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
});

test('after signing out no store holds anything of the person', async ({ person }) => {
  const page = await person('alice');
  await page.getByRole('switch', { name: /Keep my conversations/ }).check();
  await ask(page, 'What is project Phoenix?');
  await expect.poll(() => databases(page)).toContain('Phoenix');
  await signOut(page);
  await expect.poll(async () => `${await databases(page)}${await stores(page)}`).not.toMatch(/Phoenix|alice/);
});
