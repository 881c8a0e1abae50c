import { X509Certificate } from 'node:crypto'
import { verifyPassport } from '@kest/core'
import { createBundleSet, createX509KeySource, SPIREProvider, verifyX509Chain } from '@kest/spiffe'
import { createDevAuthority } from '@kest/spiffe/dev'
import type { TimeFigure } from '../figure.js'
import { signEntry } from '../internals.js'
import { createWorkload, rawSign, rawVerify } from '../workload.js'

const QUIET = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

/** An entry signed with an SVID of a real Workload API, and what is needed to check it. */
async function attested() {
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { orders: {} },
    logger: QUIET,
  })
  const identity = await SPIREProvider.connect({
    address: authority.sockets['orders'] as string,
    logger: QUIET,
  })
  try {
    const signer = identity.current()
    const bundles = { 'example.org': authority.bundle() }
    const workload = createWorkload('P-256', { identity, trust: createX509KeySource(bundles), logger: QUIET })
    const operation = await workload.chain(1)
    const chain = (signer.header.x5c ?? []).map((der) => Buffer.from(der, 'base64'))
    const leaf = new X509Certificate(chain[0] as Buffer)
    return { workload, operation, signer, bundles, chain, leaf }
  } finally {
    await identity.close()
    await authority.close()
  }
}

export const svidSign: TimeFigure = {
  group: 'sign',
  name: 'canonicalize and sign an entry with an SVID',
  unit: 'µs',
  floor: 'one P-256 signature',
  target: 1.35,
  async prepare() {
    const { workload, operation, signer } = await attested()
    const { entry, jws } = operation.entry
    return { floor: rawSign(workload, jws), subject: () => signEntry(entry, signer) }
  },
}

export const svidVerify: TimeFigure = {
  group: 'verify',
  name: 'verify 1 entry, its certificate known',
  unit: 'µs',
  floor: 'one P-256 verification',
  target: 1.25,
  async prepare() {
    const { workload, operation, bundles, leaf } = await attested()
    const trust = createX509KeySource(bundles)
    const { passport } = operation
    await verifyPassport(passport, { trust })
    return {
      floor: rawVerify({ ...workload, publicKey: leaf.publicKey }, passport.entries),
      subject: () => verifyPassport(passport, { trust, threads: 'inline' }),
    }
  },
}

export const svidFirstSight: TimeFigure = {
  group: 'verify',
  name: 'verify a chain of certificates, never seen',
  unit: 'µs',
  floor: 'parse and verify of its certificates by node:crypto',
  target: 1.5,
  async prepare() {
    const { bundles, chain } = await attested()
    const set = createBundleSet(bundles)
    const [root] = bundles['example.org'].keys.flatMap(({ x5c = [] }) => x5c)
    const { publicKey } = new X509Certificate(Buffer.from(root as string, 'base64'))
    return {
      floor: () => {
        if (!new X509Certificate(chain[0] as Buffer).verify(publicKey))
          throw new Error('the SVID does not hold')
      },
      subject: () => verifyX509Chain(chain, set),
    }
  },
}
