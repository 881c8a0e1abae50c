import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { sharesIn } from './profile.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-profile-'))
afterAll(() => rmSync(folder, { recursive: true }))

const frames: readonly (readonly [name: string, url: string, children: readonly number[]])[] = [
  ['(root)', '', [2, 6, 7, 8]],
  ['handle', 'file:///app/node_modules/fastify/route.js', [3]],
  ['begin', 'file:///app/packages/core/dist/hook/begin.js', [4, 5]],
  ['signOneShot', 'node:internal/crypto/sig', []],
  ['evaluate', 'file:///app/packages/opa/dist/wasm/rego-wasm-engine.js', [9]],
  ['(idle)', '', []],
  ['(garbage collector)', '', []],
  ['export', 'file:///app/packages/telemetry/dist/trail/export-loop.js', []],
  ['stringify', '', []],
]

writeFileSync(
  join(folder, 'one.cpuprofile'),
  JSON.stringify({
    startTime: 1_000_000,
    nodes: frames.map(([functionName, url, children], i) => ({
      id: i + 1,
      callFrame: { functionName, url },
      children,
    })),
    samples: [2, 2, 3, 4, 5, 6, 7, 8, 9],
    timeDeltas: [5000, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000],
  }),
)

it('counts time for the innermost frame that says what it is for, idling for nothing, and nothing before', () => {
  expect(sharesIn(folder, 1_006_000)).toEqual({
    'HTTP and the framework': 1,
    'lineage beside those': 2,
    crypto: 3,
    policy: 12,
    'garbage collection': 6,
    export: 7,
  })
})
