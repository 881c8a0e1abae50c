import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

const folders = ['packages', 'examples'].flatMap((parent) =>
  readdirSync(parent).map((name) => ({ name, root: `${parent}/${name}` })),
)

/**
 * What they say is the same on every Node: texts, types, what is in a package, what manuals have one run, what measures. `.ci/run`
 * leaves their project out on all but the first.
 */
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

/** Those of `@kest/nestjs` import a whole framework: each worker does so once, for all files. */
const SHARED = { isolate: false }

/** The same with the major version before, whose packages find each other from a folder of their own. */
function nest11() {
  const replacement = `${import.meta.dirname}/packages/nestjs/tests/nest-11/node_modules/@nestjs/`
  const { test, ...rest } = project('nestjs-11', 'packages/nestjs')
  return {
    ...rest,
    resolve: { alias: [{ find: /^@nestjs\//, replacement }] },
    test: { ...test, ...SHARED, include: ['tests/*.test.ts'], env: { KEST_NEST: '11' } },
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
        .map(({ name, root }) => project(name, root))
        .map((one) => (one.test.name === 'nestjs' ? { ...one, test: { ...one.test, ...SHARED } } : one)),
      nest11(),
      project('lab', 'lab'),
      // These are heavy, or measure: they wait until the others are done.
      project('packaging', '.', 1),
      { extends: true as const, test: { name: 'once', include: [ONCE], sequence: { groupOrder: 1 } } },
    ],
  },
})
