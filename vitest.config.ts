import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

const folders = ['packages', 'examples'].flatMap((parent) =>
  readdirSync(parent).map((name) => ({ name, root: `${parent}/${name}` })),
)

/** What they say is the same on every Node: texts, types. `.ci/run` leaves their project out on all but the first. */
const ONCE = '**/*.once.test.ts'

/** Tests lie beside the code and in `tests/`. They import their own package's source, and other packages built. */
function project(name: string, root: string, groupOrder = 0) {
  return {
    extends: true as const,
    test: {
      name,
      root,
      include: ['src/**/*.test.ts', 'tests/**/*.test.ts'],
      // These ask the newest of everything on every Node, once: `vitest.live.config.ts`.
      exclude: [...configDefaults.exclude, 'tests/live/**', ONCE],
      sequence: { groupOrder },
    },
  }
}

export default defineConfig({
  // Standard decorators and `using` are lowered for the oldest Node that is supported.
  esbuild: { target: 'node20' },
  test: {
    environment: 'node',
    watch: false,
    // Vitest leaves one processor idle, and that is half of what CI has.
    maxWorkers: availableParallelism(),
    // Machines that are busy, with few processors: what is waited for is a condition, and this is when to stop. A test
    // that is slow gets room; none is tried twice.
    testTimeout: 300_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000, interval: 10 } },
    // What is built runs as it is published, untouched by the test runner.
    server: { deps: { external: [/\/dist\//] } },
    projects: [
      ...folders
        .filter(({ root }) => existsSync(`${root}/package.json`))
        .map(({ name, root }) => project(name, root)),
      project('lab', 'lab'),
      // These measure, or are heavy: they wait until the others are done.
      project('bench', 'bench', 1),
      project('packaging', '.', 2),
      { extends: true as const, test: { name: 'once', include: [ONCE], sequence: { groupOrder: 2 } } },
    ],
  },
})
