// No view has anything that axe finds wrong, in either theme, on a phone and on a desk.

import { ask, expect, test, violations } from './fixtures.mjs';

const ADMIN = ['Agents', 'Audit', 'Labels', 'Who', 'View as', 'Policy'];
const SIZES = { phone: { width: 360, height: 740 }, desk: { width: 1440, height: 900 } };

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    test(`the chat, ${colorScheme}, ${size}`, async ({ profile, person, demo }) => {
      const options = { colorScheme, viewport, reducedMotion: 'reduce' };
      const stranger = await (await profile(options)).newPage();
      await stranger.goto(demo.url);
      await expect(stranger.getByRole('button', { name: 'Sign in' })).toBeVisible();
      expect(await violations(stranger)).toEqual([]);

      const page = await person('alice', options);
      expect(await violations(page)).toEqual([]);
      const turn = await ask(page, 'What is project Phoenix?');
      expect(await violations(page)).toEqual([]);
      await turn.getByRole('button', { name: /^Source 1/ }).first().click();
      await page.getByText('Why do I see this?').click();
      await expect(page.getByText('department in claim department')).toBeVisible();
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: /^Viewing as/ }).click();
      expect(await violations(page)).toEqual([]);
    });

    test(`the administrator's views, ${colorScheme}, ${size}`, async ({ person, demo }) => {
      test.setTimeout(60_000);
      const page = await person('admin', { colorScheme, viewport, reducedMotion: 'reduce' });
      await page.goto(`${demo.url}/admin`);
      const views = page.getByRole('navigation', { name: 'Administration' });
      for (const view of ADMIN) {
        await views.getByRole('link', { name: view, exact: true }).click();
        await expect(page.getByRole('heading', { level: 1, name: view })).toBeVisible();
        await expect(page.getByText('Loading…')).toHaveCount(0);
        expect(await violations(page), view).toEqual([]);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(wide, `${view} is wider than the screen`).toBeLessThanOrEqual(0);
      }
      await page.getByRole('textbox', { name: 'The changed policy' }).fill('[policy]');
      await page.getByRole('button', { name: 'Compare' }).click();
      await expect(page.getByText(/^Something changes for/)).toBeVisible();
      expect(await violations(page), 'a change of the policy').toEqual([]);
      await page.goto(`${demo.url}/admin/who#document=engineering%2Fphoenix-charter.md`);
      await expect(page.getByText(/of \d+ known sets? of claims can read this/)).toBeVisible();
      expect(await violations(page), 'who can read a document').toEqual([]);
      await views.getByRole('link', { name: 'Agents' }).click();
      await page.getByRole('button', { name: 'New agent' }).click();
      expect(await violations(page), 'the dialog').toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Delegate acme-reader' }).click();
      await page.getByRole('button', { name: 'Add a bound' }).first().click();
      expect(await violations(page), 'the bounds of a delegation').toEqual([]);
    });
  }
}
