import { expect, it } from 'vitest'
import { isComplete } from '../src/audit/audit.js'
import { CHAIN } from '../src/chain.js'
import type { Lab } from '../src/lab.js'
import { until } from '../src/supervisor/until.js'
import { endAndAudit, PATIENCE_MS, startLab } from './support/lab.js'
import { Stream } from './support/requests.js'
import { leafOf, leavesIn } from './support/svids.js'

const ROTATIONS = 3
const LONG_MS = 180_000

it(
  'K-SIGNER fails no request while SVIDs and their authority rotate under load',
  async () => {
    const lab = await startLab()
    const stream = new Stream(lab, 4)
    let before: ReadonlyMap<string, string> = new Map()
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      before = await untilSignedByOthers(lab, before)
      await lab.identities.rotateAuthority()
    }
    await untilSignedByOthers(lab, before)
    await stream.stop()
    expect(stream.failed).toEqual([])

    const { complete, traces } = await endAndAudit(lab)
    expect(complete).toBe(stream.answered.length)
    for (const [i, name] of CHAIN.entries()) {
      const certificates = traces.filter(isComplete).map(({ entries }) => leafOf(entries[i]?.jws ?? ''))
      expect(new Set(certificates).size, name).toBe(ROTATIONS + 1)
    }
  },
  PATIENCE_MS,
)

/** Until every service has signed by another certificate than then. Answers by which. */
async function untilSignedByOthers(
  lab: Lab,
  before: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
  return await until(
    () => {
      const now = leavesIn(lab.spansFile)
      return CHAIN.every((name) => now.has(name) && now.get(name) !== before.get(name)) ? now : undefined
    },
    { timeoutMs: LONG_MS, late: () => 'not all have signed by another certificate' },
    lab.watch,
  )
}
