// What every test here has: a running demo, people who sign in, and a watch on the browser's complaints.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test as base, expect } from '@playwright/test';

import { startDemo } from './world.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Tells the console, which `watch` reads, what the Content Security Policy stopped. */
function report() {
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
    console.error(`CSP: ${violatedDirective} ${blockedURI} in ${sourceFile}`);
  });
}

/** Collects what a page should never say. `tolerated` are complaints that the test provokes. */
async function watch(context, complaints, tolerated) {
  await context.addInitScript(report);
  const complain = (text) => {
    if (!tolerated.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  context.on('console', (message) => {
    // The pages of a foreign provider are its own affair.
    if (message.page()?.url().includes('/interaction/')) return;
    if (message.type() === 'error') complain(`${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => complain(String(error.error())));
}

export const test = base.extend({
  /** What the browser may complain of because the test provokes it. */
  tolerated: [[], { option: true }],

  demo: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const demo = await startDemo();
      await use(demo);
      await demo.stop();
    },
    { scope: 'worker', timeout: 60_000 },
  ],

  /** Takes servers of one test, which outlive its pages: a page complains when its server goes. */
  stopped: async ({}, use) => {
    const servers = [];
    await use((server) => (servers.push(server), server));
    for (const server of servers) await server.stop();
  },

  /** Makes browser contexts, each a profile of its own, which are watched, and closed before what was `stopped`. */
  profile: async ({ browser, tolerated, stopped }, use) => {
    const contexts = [];
    const complaints = [];
    await use(async (options = {}) => {
      const context = await browser.newContext(options);
      contexts.push(context);
      await watch(context, complaints, tolerated);
      return context;
    });
    await Promise.all(contexts.map((context) => context.close()));
    expect(complaints, 'what the browser complained of').toEqual([]);
  },

  /** Signs a person in at the demo, in a profile of her own. */
  person: async ({ demo, profile }, use) => {
    await use(async (name, options = {}) => {
      const page = await (await profile(options)).newPage();
      await page.goto(demo.url);
      await signIn(page, name);
      return page;
    });
  },
});

export { expect, watch };

/** Signs in at the demo's provider, where one picks a person. */
export async function signIn(page, name) {
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator(`button[name=person][value=${name}]`).click();
  await arrived(page);
}

/** Signs in at oidc-provider, which asks for a name and then for consent. */
export async function signInAtProvider(page, name) {
  await page.getByRole('button', { name: 'Sign in' }).click();
  await identify(page, name);
  await arrived(page);
}

/** Waits for the page of a person, and for the worker: one that is stopped while it is installed takes no page over. */
async function arrived(page) {
  await expect(question(page)).toBeVisible();
  await controlled(page);
}

/** Waits until the worker has taken the page over, where the browser has one. */
export async function controlled(page) {
  await page.waitForFunction(() => navigator.serviceWorker?.controller !== null);
}

/** What oidc-provider asks. */
export async function identify(page, name) {
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** Where questions are written. */
export function question(page) {
  return page.getByRole('textbox', { name: 'Your question' });
}

/** The last question's answer and all that belongs to it. */
export function lastTurn(page) {
  return page.getByRole('article').last();
}

/** Asks, and waits for the whole answer. */
export async function ask(page, text) {
  await question(page).fill(text);
  await question(page).press('Enter');
  const turn = lastTurn(page);
  await expect(turn.getByRole('heading', { level: 2 })).toHaveText(text);
  await expect(turn).toHaveAttribute('aria-busy', 'false');
  return turn;
}

/** What axe finds wrong with the page. It is evaluated, because the page takes no foreign script. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target).join(' | ')}`);
}

/** Opens "Viewing as", and signs out there. The way leads over the provider and back. */
export async function signOut(page, { offline = false } = {}) {
  await page.getByRole('button', { name: /^Viewing as/ }).click();
  const back = offline ? null : page.waitForEvent('load');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await back;
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
}

/** Kills every service worker, as the browser does with idle ones. */
export async function killWorkers(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
  await session.detach();
}

/** Collects the access tokens that a page gets from its provider. */
export function tokensOf(page) {
  const tokens = [];
  page.on('response', async (response) => {
    if (!response.url().endsWith('/token') || !response.ok()) return;
    const body = await response.json().catch(() => ({}));
    if (body.access_token) tokens.push(body.access_token);
  });
  return tokens;
}
