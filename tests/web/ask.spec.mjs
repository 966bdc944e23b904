// Two people ask the same, watch the answer, open its sources, and learn why they may read them.

import { databases } from './disk.mjs';
import { ask, expect, lastTurn, question, signIn, signOut, test } from './fixtures.mjs';

const PHOENIX = 'What is project Phoenix?';

test('two people ask the same and each sees her own world', async ({ person }) => {
  const [alice, bob] = [await person('alice'), await person('bob')];
  const hers = await ask(alice, PHOENIX);
  const his = await ask(bob, PHOENIX);
  await expect(hers).toContainText('leak sensor that needs no battery');
  await expect(his).toContainText('trade-in programme');
  await expect(hers).not.toContainText('trade-in');
  await expect(his).not.toContainText('leak sensor that needs no battery');
});

test('a citation opens the passage, its label and why one may read it', async ({ person }) => {
  const page = await person('alice');
  const turn = await ask(page, PHOENIX);
  await turn.getByRole('button', { name: /^Source 1/ }).first().click();
  const passage = page.getByRole('region', { name: /.+/ }).filter({ hasText: 'Why do I see this?' });
  await expect(passage).toContainText('engineering/phoenix-charter.md');
  await expect(passage).toContainText('Secret');
  await passage.getByText('Why do I see this?').click();
  await expect(passage).toContainText('Its department is engineering');
  await expect(passage).toContainText('department in claim department');
  await page.keyboard.press('Escape');
  await expect(passage).toBeHidden();
});

test('somebody without claims is told so, and what to do', async ({ person }) => {
  const page = await person('dave');
  await expect(page.getByRole('heading', { level: 1 })).toContainText('opens nothing');
  await expect(page.getByRole('main')).toContainText('department');
  await expect(await ask(page, PHOENIX)).toContainText('Nothing that you may read answers this.');
});

test('conversations are kept only for who wants that, for her alone, and until she signs out', async ({ person }) => {
  const page = await person('alice');
  await ask(page, PHOENIX);
  expect(await databases(page)).not.toContain('leak sensor');
  await page.getByRole('switch', { name: /Keep my conversations/ }).check();
  await expect.poll(() => databases(page)).toContain('leak sensor');
  await page.reload();
  await expect(lastTurn(page)).toContainText('leak sensor');
  await signOut(page);
  await expect.poll(() => databases(page)).not.toContain('leak sensor');
  await signIn(page, 'bob');
  await expect(page.getByText('leak sensor')).toHaveCount(0);
});

test('two tabs keep the conversations of both, and neither any longer when one is told so', async ({ person, demo }) => {
  const first = await person('alice');
  const other = await first.context().newPage();
  const keep = (page) => page.getByRole('switch', { name: /Keep my conversations/ });
  await other.goto(demo.url);
  await expect(question(other)).toBeVisible();
  await keep(first).check();
  await expect(keep(other)).toBeChecked();
  await ask(first, PHOENIX);
  await ask(other, 'Who audits the harvester?');
  await expect.poll(() => databases(first)).toMatch(/leak sensor[^]*harvester|harvester[^]*leak sensor/);
  await other.reload();
  const list = other.getByRole('navigation', { name: 'Conversations' });
  await expect(list.getByRole('link', { name: PHOENIX })).toBeVisible();
  await list.getByRole('button', { name: `Remove: ${PHOENIX}` }).click();
  await expect.poll(() => databases(first)).not.toContain('leak sensor');
  // What was removed there is not written again from here.
  await expect(first.getByRole('article')).toHaveCount(0);
  await ask(first, 'What is Atlas?');
  await expect.poll(() => databases(first)).toContain('Atlas');
  expect(await databases(first)).not.toContain('leak sensor');
  await keep(first).uncheck();
  await expect(keep(other)).not.toBeChecked();
  await ask(other, 'What is Atlas?');
  // Longer than it takes to write a change.
  await other.waitForTimeout(1000);
  expect(await databases(first)).not.toMatch(/Atlas|harvester/);
});

test('everything is done with the keyboard', async ({ person }) => {
  const page = await person('alice');
  await page.locator('body').press('/');
  await expect(question(page)).toBeFocused();
  await page.keyboard.type(PHOENIX);
  await page.keyboard.press('Enter');
  const turn = lastTurn(page);
  await expect(turn).toHaveAttribute('aria-busy', 'false');
  await expect(question(page)).toBeFocused();
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
  for (let steps = 0; !/^Source 1/.test(await focused()); steps += 1) {
    expect(steps, 'the citation is reached with the Tab key').toBeLessThan(40);
    await page.keyboard.press('Shift+Tab');
  }
  await page.keyboard.press('Enter');
  await expect(page.getByText('Why do I see this?')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByText('Why do I see this?')).toBeHidden();
  expect(await focused(), 'the focus comes back to where it was').toMatch(/^Source 1/);
});
