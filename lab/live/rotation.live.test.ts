import { DEFAULT_LIMITS, parseEntry } from '@kest/core'
import { expect, it } from 'vitest'
import { isComplete } from '../src/audit/audit.js'
import { CHAIN } from '../src/chain.js'
import { until } from '../src/supervisor/until.js'
import { endAndAudit, PATIENCE_MS, startLab } from './support/lab.js'
import { Stream } from './support/requests.js'

const TTL_SECONDS = 2
const ROTATIONS = 3
const LONG_MS = 60_000

it(
  'K-SIGNER fails no request while SVIDs and their authority rotate under load',
  async () => {
    const lab = await startLab({ ttlSeconds: TTL_SECONDS })
    const stream = new Stream(lab, 4)
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      const seen = stream.answered.length
      await lab.identities.rotateAuthority()
      await until(
        () => (stream.answered.length > seen + 20 ? true : undefined),
        { timeoutMs: LONG_MS, late: () => 'nothing is answered any more' },
        lab.watch,
      )
    }
    await stream.stop()
    expect(stream.failed).toEqual([])

    const { complete, traces } = await endAndAudit(lab)
    expect(complete).toBe(stream.answered.length)
    for (const [i, name] of CHAIN.entries()) {
      const certificates = traces.filter(isComplete).map(({ entries }) => leafOf(entries[i]?.jws ?? ''))
      expect(new Set(certificates).size, name).toBeGreaterThanOrEqual(ROTATIONS)
    }
  },
  PATIENCE_MS,
)

function leafOf(jws: string): string | undefined {
  return parseEntry(jws, { limits: DEFAULT_LIMITS }).header.x5c?.[0]
}
