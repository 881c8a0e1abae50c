import { setTimeout as sleep } from 'node:timers/promises'
import { Passport, verifyPassport } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { createX509KeySource, X509Source } from '@kest/spiffe'
import { expect, it } from 'vitest'
import { judgeChains } from './support/chains.js'
import { type Hop, runChain, startHop } from './support/hops.js'
import { temporaryFolder } from './support/resources.js'
import { missingSpirePrograms, startSpire } from './support/spire.js'

const ROTATIONS = 3
const TTL_SECONDS = 60
/** SPIRE renews at about half of the life; this is for three times that, on a slow machine. */
const ROTATIONS_MS = 240_000

const missing = missingSpirePrograms()
const why = missing.length === 0 ? '' : ` (DID NOT RUN: ${missing.join(' and ')} not on PATH)`
if (missing.length > 0) console.warn(`The tests with SPIRE${why}`)

const ownUid = process.getuid?.() ?? 0
/** Only root can start workloads under uids of their own; otherwise all have the identities of all, and pick theirs. */
const isRoot = ownUid === 0
const WORKLOADS = ['hop1', 'hop2', 'hop3'].map((name, index) => ({
  id: `spiffe://example.org/${name}`,
  uid: isRoot ? 20_001 + index : ownUid,
  ttl: TTL_SECONDS,
}))

it.skipIf(missing.length > 0)(
  `keeps a chain running over ${ROTATIONS} rotations of SPIRE's SVIDs${why}`,
  async () => {
    const spire = await startSpire(await temporaryFolder(), WORKLOADS)
    const { address } = spire
    const hops = await Promise.all(
      WORKLOADS.map(({ id, uid }) => startHop({ address, id, ...(isRoot ? { uid } : {}) })),
    )
    if (isRoot) {
      expect(hops.map(({ identities }) => identities)).toEqual(WORKLOADS.map(({ id }) => [id]))
      await expect(
        X509Source.connect({ address, connectTimeoutMs: 10_000, logger: new RecordingLogger() }),
        'this process is not registered',
      ).rejects.toMatchObject({ code: 'ERR_SPIFFE_TIMEOUT', cause: { code: 'ERR_SPIFFE_DENIED' } })
    }

    const bundles = { 'example.org': JSON.parse(await spire.bundle()) }
    const trust = createX509KeySource(bundles)
    const deadline = Date.now() + ROTATIONS_MS
    let passport: readonly string[] = []
    let chains = 0
    while (!hops.every(hasRotated) && Date.now() < deadline) {
      passport = await runChain(hops)
      const { entries } = await verifyPassport(new Passport(passport), { trust })
      expect(entries.map(({ principal }) => principal)).toEqual(WORKLOADS.map(({ id }) => id))
      chains++
      await sleep(100)
    }

    for (const { certificates } of hops) expect(certificates.size).toBeGreaterThan(ROTATIONS)
    expect(chains).toBeGreaterThan(ROTATIONS)
    expect(await judgeChains(passport, bundles)).toEqual(WORKLOADS.map(({ id }) => ({ id })))
  },
  ROTATIONS_MS + 180_000,
)

function hasRotated({ certificates }: Hop): boolean {
  return certificates.size > ROTATIONS
}
