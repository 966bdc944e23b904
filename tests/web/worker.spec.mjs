// The service worker is killed, passed over and replaced, and nobody notices.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { ask, controlled, expect, killWorkers, question, signIn, signInAtProvider, test as base } from './fixtures.mjs';
import { folder, House, ROOT, startDemo } from './world.mjs';

const test = base.extend({
  /** A copy of the app at `web`, and how to change a file of it. */
  app: async ({}, use) => {
    const web = folder('app');
    cpSync(path.join(ROOT, 'web/dist'), web, { recursive: true });
    const rewrite = (name, changed) => {
      const file = path.join(web, name);
      for (const packed of [`${file}.br`, `${file}.gz`]) rmSync(packed, { force: true });
      writeFileSync(file, changed(readFileSync(file, 'utf8')));
    };
    await use({ web, rewrite });
    rmSync(web, { recursive: true });
  },
});

test('a worker that was killed asks the page for the token', async ({ person }) => {
  const page = await person('alice');
  await ask(page, 'What is project Phoenix?');
  await killWorkers(page);
  await expect(await ask(page, 'Who audits the harvester?')).not.toContainText('session has ended');
  await killWorkers(page);
  const answers = await page.evaluate(() => Promise.all(Array.from({ length: 10 }, () => fetch('/api/me').then(({ status }) => status))));
  expect(answers).toEqual(Array(10).fill(200));
});

test('a page that the worker missed, as in a forced reload, is taken over', async ({ person }) => {
  const page = await person('alice');
  const session = await page.context().newCDPSession(page);
  // The page says at its first script whether it has a worker.
  await page.addInitScript(() => (globalThis.missed = navigator.serviceWorker.controller === null));
  await session.send('Page.reload', { ignoreCache: true });
  await expect(question(page)).toBeVisible();
  expect(await page.evaluate(() => globalThis.missed)).toBe(true);
  await controlled(page);
  await expect(await ask(page, 'What is project Phoenix?')).toContainText('leak sensor');
});

test('a browser without service workers asks all the same', async ({ demo, profile }) => {
  const page = await (await profile()).newPage();
  await page.addInitScript(() => delete Navigator.prototype.serviceWorker);
  await page.goto(demo.url);
  await signIn(page, 'alice');
  expect(await page.evaluate(() => navigator.serviceWorker)).toBeUndefined();
  await expect(await ask(page, 'What is project Phoenix?')).toContainText('leak sensor');
});

test('a new version waits until the person wants it, and the page is loaded anew once', async ({ app, stopped, profile }) => {
  const demo = stopped(await startDemo(app));
  const page = await (await profile()).newPage();
  await page.goto(demo.url);
  await signIn(page, 'alice');
  await question(page).fill('half a question');
  app.rewrite('sw.js', (script) => `${script}\n// a new version`);
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
});

test.describe('a provider that moves', () => {
  // What is at fault here is a policy of yesterday, and the browser says so. The server restarts on the same port.
  test.use({ tolerated: [/Content Security Policy|CSP: connect-src|Refused to connect|violates|ERR_CONNECTION_RESET/] });

  async function moved(page, house, meanwhile = () => undefined) {
    await page.goto(house.url);
    await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
    await controlled(page);
    meanwhile();
    await house.moveProvider();
    await page.reload();
    await expect(page.getByRole('alert')).toContainText('cannot be reached');
    await expect(async () => {
      const loaded = page.waitForEvent('load');
      await page.getByRole('button', { name: 'Look again' }).click();
      await loaded;
      await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
      await expect(page.getByRole('alert')).toHaveCount(0, { timeout: 100 });
    }).toPass();
    await signInAtProvider(page, 'alice');
  }

  test('is reached with the page that the worker keeps', async ({ stopped, profile }) => {
    test.setTimeout(60_000);
    const house = stopped(await House.start());
    await moved(await (await profile()).newPage(), house);
  });

  test('is reached with a new version of the app', async ({ app, stopped, profile }) => {
    test.setTimeout(60_000);
    const house = stopped(await House.start(app));
    const page = await (await profile()).newPage();
    await moved(page, house, () => {
      app.rewrite('index.html', (html) => html.replace('</head>', '<meta name="version" content="new"></head>'));
      app.rewrite('sw.js', (script) => script.replace(/\w{32}(?=','url':'\/index.html')/, 'of the new version'));
    });
    await expect(page.locator('meta[name=version]')).toHaveCount(1);
  });
});

test('a browser without Background Sync runs the worker all the same', async ({ app, stopped, profile }) => {
  app.rewrite('sw.js', (script) => `delete ServiceWorkerRegistration.prototype.sync;\n${script}`);
  const demo = stopped(await startDemo(app));
  const page = await (await profile()).newPage();
  await page.goto(demo.url);
  await signIn(page, 'alice');
  await expect(await ask(page, 'What is project Phoenix?')).toContainText('leak sensor');
});
