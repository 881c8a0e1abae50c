import { defineConfig } from 'vitest/config'

/** Against other implementations, which are installed for it: `.ci/run`, or `npx vitest run -c vitest.live.config.ts`. */
export default defineConfig({
  esbuild: { target: 'node20' },
  test: {
    name: 'live',
    environment: 'node',
    watch: false,
    include: ['packages/*/live/**/*.live.test.ts'],
    globalSetup: ['packages/spiffe/live/support/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/dist\//] } },
  },
})
