import { defineConfig } from 'vitest/config';

// What `tests/not-run` reads at the end of `make test`.
const reports = process.env.REPORTS;

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    environment: 'node',
    unstubGlobals: true,
    restoreMocks: true,
    reporters: ['default', ...(reports ? [['junit', { outputFile: `${reports}/web.xml` }] as const] : [])],
  },
});
