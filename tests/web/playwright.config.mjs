import { defineConfig } from '@playwright/test';

// What `tests/not-run` reads at the end of `make test`.
const reports = process.env.REPORTS;

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  outputDir: '../../.cache/web-tests',
  workers: 2,
  fullyParallel: false,
  timeout: 30_000,
  expect: { timeout: 7_000 },
  forbidOnly: true,
  retries: 0,
  reporter: [['list'], ['./causes.mjs'], ...(reports ? [['junit', { outputFile: `${reports}/browser.xml` }]] : [])],
  use: {
    headless: true,
    launchOptions: {
      // `run` finds it.
      executablePath: process.env.CHROMIUM,
      // Chromium's own sandbox does not start for root, which is what containers run as.
      args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    },
    locale: 'en-GB',
    actionTimeout: 7_000,
    trace: 'off',
  },
});
