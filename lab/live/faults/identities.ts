import { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHAIN } from '../../src/chain.js'
import { until } from '../../src/supervisor/until.js'
import type { Scene } from '../support/scene.js'
import { leavesIn } from '../support/svids.js'
import type { Fault } from './fault.js'

const LONG_MS = 240_000

export const IDENTITY_FAULTS: readonly Fault[] = [
  {
    name: "the SPIFFE agent gone for longer than half of an SVID's life",
    codes: [],
    log: null,
    remedy: 'start it before SVIDs end: `status()` of the source says since when it is stale',
    async begin(scene) {
      await untilRenewed(scene)
      await scene.lab.identities.stopAgent()
      await sleep(scene.ttlSeconds * 510)
      return () => scene.lab.identities.startAgent()
    },
  },
  {
    name: "the SPIFFE agent gone for longer than all of an SVID's life",
    codes: ['ERR_KEST_IDENTITY', 'ERR_KEST_CERTIFICATE', 'ERR_KEST_KEYS_UNAVAILABLE'],
    log: ['hop1', 'ERR_KEST_IDENTITY'],
    remedy: 'start the agent; look at its log, and at `spire-server healthcheck`',
    async begin({ lab: { identities } }) {
      await identities.stopAgent()
      return () => identities.startAgent()
    },
  },
  {
    name: 'the authority rotated',
    codes: [],
    log: null,
    remedy: 'nothing',
    async begin(scene) {
      await scene.lab.identities.rotateAuthority()
      await untilRenewed(scene)
      return () => {}
    },
  },
  {
    name: 'the registration of a hop deleted',
    codes: ['ERR_KEST_IDENTITY', 'ERR_KEST_CERTIFICATE', 'ERR_KEST_KEYS_UNAVAILABLE'],
    log: ['hop2', 'ERR_KEST_IDENTITY'],
    remedy: 'register it again: `spire-server entry show`; the agent takes some ten seconds to learn of it',
    async begin({ lab: { identities } }) {
      await identities.withdraw('hop2')
      return () => identities.restore('hop2')
    },
  },
]

/** Until every service signs by an SVID with most of its life before it. */
async function untilRenewed({ lab, ttlSeconds }: Scene): Promise<void> {
  const isFresh = (leaf: string | undefined): boolean =>
    leaf !== undefined && endOf(leaf) - Date.now() > ttlSeconds * 750
  await until(
    () => {
      const leaves = leavesIn(lab.spansFile)
      return CHAIN.every((name) => isFresh(leaves.get(name))) ? true : undefined
    },
    { timeoutMs: LONG_MS, late: () => 'SVIDs are not renewed' },
    lab.watch,
  )
}

function endOf(leaf: string): number {
  return Date.parse(new X509Certificate(Buffer.from(leaf, 'base64')).validTo)
}
