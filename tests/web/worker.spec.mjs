// The service worker is killed, passed over and replaced, and nobody notices.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { ask, expect, killWorkers, question, signIn, signInAtProvider, test } from './fixtures.mjs';
import { folder, House, ROOT, startDemo } from './world.mjs';

/** A copy of the app, with the worker as the test wants it. */
function copyOfApp() {
  const web = folder('app');
  cpSync(path.join(ROOT, 'web/dist'), web, { recursive: true });
  const worker = path.join(web, 'sw.js');
  const script = readFileSync(worker, 'utf8');
  for (const packed of ['sw.js.br', 'sw.js.gz']) rmSync(path.join(web, packed), { force: true });
  return { web, rewrite: (changed) => writeFileSync(worker, changed(script)) };
}

test('a worker that was killed asks the page for the token', async ({ person }) => {
  const page = await person('alice');
  await ask(page, 'What is project Phoenix?');
  await killWorkers(page);
  await expect(await ask(page, 'Who audits the harvester?')).not.toContainText('session has ended');
  await killWorkers(page);
  const answers = await page.evaluate(() => Promise.all(Array.from({ length: 10 }, () => fetch('/api/me').then(({ status }) => status))));
  expect(answers).toEqual(Array(10).fill(200));
});

test('a forced reload, which passes the worker over, works all the same', async ({ person }) => {
  const page = await person('alice');
  const session = await page.context().newCDPSession(page);
  await session.send('Page.reload', { ignoreCache: true });
  await expect(question(page)).toBeVisible();
  expect(await page.evaluate(() => navigator.serviceWorker.controller)).toBeNull();
  await expect(await ask(page, 'What is project Phoenix?')).toContainText('leak sensor');
});

test('a new version waits until the person wants it, and the page is loaded anew once', async ({ profile }) => {
  const { web, rewrite } = copyOfApp();
  const demo = await startDemo({ web });
  try {
    const page = await (await profile()).newPage();
    await page.goto(demo.url);
    await signIn(page, 'alice');
    await question(page).fill('half a question');
    rewrite((script) => `${script}\n// a new version`);
    await page.evaluate(() => navigator.serviceWorker.getRegistration().then((registration) => registration.update()));
    const prompt = page.getByRole('button', { name: /reload/i });
    await expect(prompt).toBeVisible();
    await expect(question(page)).toHaveValue('half a question');
    let loads = 0;
    page.on('load', () => (loads += 1));
    await prompt.click();
    await expect.poll(() => loads).toBe(1);
    await expect(question(page)).toBeVisible();
    await page.waitForTimeout(500);
    expect(loads).toBe(1);
    await expect(page.getByRole('button', { name: /reload/i })).toBeHidden();
  } finally {
    await demo.stop();
    rmSync(web, { recursive: true });
  }
});

test.describe('a provider that moves', () => {
  // What is at fault here is a policy of yesterday, and the browser says so.
  test.use({ tolerated: [/Content Security Policy|CSP: connect-src|Refused to connect|violates/] });

  test('is reached with the page that the worker keeps', async ({ profile }) => {
    test.setTimeout(60_000);
    const house = await House.start();
    try {
      const page = await (await profile()).newPage();
      await page.goto(house.url);
      await page.evaluate(() => navigator.serviceWorker.ready);
      await house.moveProvider();
      await page.reload();
      await expect(page.getByRole('alert')).toContainText('cannot be reached');
      await page.getByRole('button', { name: 'Look again' }).click();
      await expect(page.getByRole('alert')).toHaveCount(0);
      await signInAtProvider(page, 'alice');
    } finally {
      await house.stop();
    }
  });
});

test('a browser without Background Sync runs the worker all the same', async ({ profile }) => {
  const { web, rewrite } = copyOfApp();
  rewrite((script) => `delete ServiceWorkerRegistration.prototype.sync;\n${script}`);
  const demo = await startDemo({ web });
  try {
    const page = await (await profile()).newPage();
    await page.goto(demo.url);
    await signIn(page, 'alice');
    await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
    await expect(await ask(page, 'What is project Phoenix?')).toContainText('leak sensor');
  } finally {
    await demo.stop();
    rmSync(web, { recursive: true });
  }
});
