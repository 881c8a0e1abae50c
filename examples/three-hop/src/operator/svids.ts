import { BundleSource, SpiffeError, type X509Bundle } from '@kest/spiffe'
import { principalOf, TRUST_DOMAIN } from '../chain.js'
import { Failure } from '../failure.js'
import type { Enlisted, Identities } from './identities.js'
import type { Watch } from './watch.js'

const CONNECT_MS = 10_000

/** What is particular to one Workload API. */
interface Particulars extends Pick<Identities, 'description' | 'settingsOf'> {
  /** When this resolves, nothing of it is left. */
  release(): Promise<void>
}

/**
 * Identities that a Workload API gives the hops; and the bundle of their trust domain, from the same place.
 *
 * @param address of the Workload API, as the operator reaches it
 * @throws {Failure} when it cannot be reached, or has nothing for the operator
 */
export async function connectSvids(
  address: string,
  { signal }: Watch,
  { description, settingsOf, release }: Particulars,
): Promise<Identities> {
  const bundle = await fetchBundle(address, signal)
  return {
    description,
    settingsOf,
    trustIn(hops) {
      assertApart(hops)
      assertNames(hops)
      return { bundles: { [TRUST_DOMAIN]: bundle } }
    },
    close: release,
  }
}

async function fetchBundle(address: string, signal: AbortSignal): Promise<X509Bundle> {
  try {
    using source = await BundleSource.connect({ address, connectTimeoutMs: CONNECT_MS, signal })
    const bundle = source.getX509Bundle(TRUST_DOMAIN)
    if (bundle !== undefined) return bundle
    throw new Failure(`the Workload API at ${address} has no bundle of ${TRUST_DOMAIN}`)
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error
    const denied = error.cause instanceof SpiffeError && error.cause.code === 'ERR_SPIFFE_DENIED'
    throw new Failure(
      `no bundle from the Workload API at ${address}: ${error.message}` +
        (denied ? '\nThe operator asks it as a workload: it needs a registration, too.' : ''),
    )
  }
}

/** Whoever goes by the user of a process cannot tell those of one user apart. */
function assertApart(hops: Enlisted): void {
  const namesOf = new Map<string, string[]>()
  for (const [name, { workloadId }] of hops)
    namesOf.set(workloadId, [...(namesOf.get(workloadId) ?? []), name])
  for (const [id, names] of namesOf) {
    if (names.length === 1) continue
    throw new Failure(
      `${names.join(', ')} were all given the identity ${id}: the Workload API cannot tell their processes apart.\n` +
        'Register each of them by something that differs: their users do, with --users UID,UID,UID.',
    )
  }
}

/** The policies, and the auditor, know them by these. */
function assertNames(hops: Enlisted): void {
  for (const [name, { workloadId }] of hops) {
    if (workloadId !== principalOf(name))
      throw new Failure(`${name} was given the identity ${workloadId}; it should be ${principalOf(name)}`)
  }
}
