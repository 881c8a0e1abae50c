import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@kest/core'
import type { TimeFigure, Work } from '../figure.js'
import { createWorkload } from '../workload.js'

const DAY_MS = 86_400_000
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** The whole hook where its policy allows: enforced, and only observed (K-OBSERVE). */
export const observing: TimeFigure = {
  group: 'hook',
  name: 'at a root, its policy only observed',
  unit: 'µs',
  floor: 'the same, enforced',
  target: 1.02,
  async prepare() {
    const expires = new Date(Date.now() + DAY_MS).toISOString()
    const observe = [{ what: 'policy', scope: { all: true }, reason: 'bench', approver: 'bench', expires }]
    return { floor: hookUnder({ policies: {} }), subject: hookUnder({ policies: {}, observe }) }
  },
}

function hookUnder(deployment: object): Work {
  const folder = mkdtempSync(join(tmpdir(), 'kest-bench-'))
  // It is followed for as long as the process runs.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'kest.json')
  writeFileSync(file, JSON.stringify(deployment))
  const before = process.env['KEST_CONFIG']
  process.env['KEST_CONFIG'] = file
  const { kest, root } = createWorkload('Ed25519', { logger: silent })
  if (before === undefined) delete process.env['KEST_CONFIG']
  else process.env['KEST_CONFIG'] = before
  return async () => {
    const operation = await kest.begin(root, { state: null })
    await operation.run(nothing)
  }
}

function nothing(): void {}
