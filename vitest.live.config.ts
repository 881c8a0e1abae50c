import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const folders = ['examples/three-hop', 'lab', ...readdirSync('packages').map((name) => `packages/${name}`)]

/**
 * Against real servers and other implementations, which are installed for it: `.ci/run`, or `scripts/live-tools.sh` and
 * `npx vitest run -c vitest.live.config.ts --project opa`. What a project needs built first, its `live/support/setup.ts` builds.
 */
export default defineConfig({
  esbuild: { target: 'node20' },
  test: {
    environment: 'node',
    watch: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    server: { deps: { external: [/\/dist\//] } },
    // One after the other: they start servers, and some of them look at what a busy machine would blur.
    fileParallelism: false,
    projects: [
      ...folders
        .filter((folder) => existsSync(`${folder}/live`))
        .map((root) => ({
          extends: true as const,
          test: {
            name: root.replace(/^.*\//, ''),
            root,
            include: ['live/**/*.live.test.ts'],
            globalSetup: existsSync(`${root}/live/support/setup.ts`) ? ['live/support/setup.ts'] : [],
          },
        })),
      // Against the newest versions of all that a README names.
      { extends: true as const, test: { name: 'readmes', include: ['tests/live/**/*.live.test.ts'] } },
    ],
  },
})
