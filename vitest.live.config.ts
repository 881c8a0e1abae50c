import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Theirs are several servers, and the load on all of them: one file after the other, once the others are done. */
const ALONE = ['fleet', 'lab', 'spiffe', 'three-hop']

/** What waits for a registry, or for a broker, leaves processors to another. */
function workersOf(name: string) {
  return ALONE.includes(name)
    ? { maxWorkers: 1, sequence: { groupOrder: 1 } }
    : { maxWorkers: availableParallelism(), sequence: { groupOrder: 0 } }
}

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
    projects: [
      ...folders
        .filter((folder) => existsSync(`${folder}/live`))
        .map((root) => ({ root, name: root.replace(/^.*\//, '') }))
        .map(({ root, name }) => ({
          extends: true as const,
          test: {
            name,
            root,
            ...workersOf(name),
            include: ['live/**/*.live.test.ts'],
            globalSetup: existsSync(`${root}/live/support/setup.ts`) ? ['live/support/setup.ts'] : [],
          },
        })),
      // Against the newest versions of all that a README names.
      {
        extends: true as const,
        test: { name: 'readmes', ...workersOf('readmes'), include: ['tests/live/**/*.live.test.ts'] },
      },
    ],
  },
})
