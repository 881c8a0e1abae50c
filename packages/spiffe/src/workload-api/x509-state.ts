import { X509Bundle } from '../bundle/x509-bundle.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.js'
import { quoted } from '../id/syntax.js'
import { parseX509Svid, type X509Svid } from '../svid/x509-svid.js'
import { splitCertificates } from '../x509/certificate.js'
import { type Problem, problemOf } from './problem.js'
import type { X509BundlesResponse, X509SVID, X509SVIDResponse } from './workload_pb.js'

const MAX_AUTHORITIES = 256

/** All that one message of FetchX509SVID says. It takes the place of everything earlier ones said. */
export interface X509State {
  /** In the order of the message; the first is the default identity. */
  readonly svids: readonly X509Svid[]
  /** By the name of the trust domain; one's own, and those one federates with. */
  readonly bundles: ReadonlyMap<string, X509Bundle>
  /** What could not be read, and is therefore not here. */
  readonly problems: readonly Problem[]
}

/** All that one message of FetchX509Bundles says. */
export type X509BundlesState = Omit<X509State, 'svids'>

/**
 * Reads a message, each SVID and each bundle for itself: one that breaks a rule is left out and reported, and does not
 * spoil the others. What it lacks is withdrawn (SPIFFE Workload API §4.4). Private keys in the message are overwritten.
 */
export function readX509State(response: X509SVIDResponse): X509State {
  const problems: Problem[] = []
  const svids: X509Svid[] = []
  const bundles = new BundleCollector(problems)
  const hints = new Set<string>()
  for (const message of response.svids) {
    try {
      const svid = readSvid(message)
      bundles.add(svid.id.trustDomain.name, message.bundle)
      // Of two with one hint, the first counts (§5.2.1).
      if (svid.hint !== '' && hints.has(svid.hint)) {
        throw new SpiffeError('ERR_SPIFFE_RESPONSE', `the hint ${quoted(svid.hint)} occurs twice`)
      }
      hints.add(svid.hint)
      svids.push(svid)
    } catch (error) {
      problems.push(problemOf(`SVID ${quoted(message.spiffeId)}`, error))
    } finally {
      message.x509SvidKey.fill(0)
    }
  }
  const own = new Set(svids.map(({ id }) => id.trustDomain.name))
  for (const [id, der] of Object.entries(response.federatedBundles)) bundles.addFederated(id, der, own)
  return Object.freeze({
    svids: Object.freeze(svids),
    bundles: bundles.found,
    problems: Object.freeze(problems),
  })
}

/** As {@link readX509State}, of FetchX509Bundles. */
export function readX509Bundles(response: X509BundlesResponse): X509BundlesState {
  const problems: Problem[] = []
  const bundles = new BundleCollector(problems)
  for (const [id, der] of Object.entries(response.bundles)) bundles.addFederated(id, der, new Set())
  return Object.freeze({ bundles: bundles.found, problems: Object.freeze(problems) })
}

/** §4.5, §5.2.1: every field but the hint is mandatory. */
function readSvid(message: X509SVID): X509Svid {
  for (const name of ['spiffeId', 'x509Svid', 'x509SvidKey', 'bundle'] as const) {
    if (message[name].length === 0) throw new SpiffeError('ERR_SPIFFE_RESPONSE', `its field ${name} is empty`)
  }
  const id = SpiffeId.parse(message.spiffeId)
  const svid = parseX509Svid(message.x509Svid, message.x509SvidKey, { hint: message.hint })
  if (svid.id.equals(id)) return svid
  throw new SpiffeError('ERR_SPIFFE_RESPONSE', `its certificate is that of ${svid.id}`)
}

/** Bundles by domain. Two that differ for one domain cancel each other out: which of them holds cannot be known. */
class BundleCollector {
  readonly found = new Map<string, X509Bundle>()
  readonly #refused = new Set<string>()
  readonly #problems: Problem[]

  constructor(problems: Problem[]) {
    this.#problems = problems
  }

  /** By the ID of the trust domain, as a map of the message has it. Never in place of one's own domain's. */
  addFederated(id: string, der: Uint8Array, own: ReadonlySet<string>): void {
    try {
      const { name } = trustDomainOf(id)
      if (!own.has(name)) this.add(name, der)
    } catch (error) {
      this.#problems.push(problemOf(`bundle ${quoted(id)}`, error))
    }
  }

  add(name: string, der: Uint8Array): void {
    if (this.#refused.has(name)) return
    try {
      const bundle = new X509Bundle(name, splitCertificates(der, MAX_AUTHORITIES))
      const other = this.found.get(name)
      if (other !== undefined && !other.equals(bundle)) {
        throw new SpiffeError('ERR_SPIFFE_RESPONSE', 'two that differ came for one trust domain')
      }
      this.found.set(name, bundle)
    } catch (error) {
      this.#refused.add(name)
      this.found.delete(name)
      this.#problems.push(problemOf(`bundle of ${name}`, error))
    }
  }
}

/** Keys of the maps are IDs of trust domains; SPIRE's earlier agents wrote bare names. */
export function trustDomainOf(id: string): TrustDomain {
  const domain = TrustDomain.parse(id)
  if (domain.isNamed(id)) return domain
  throw new SpiffeError('ERR_SPIFFE_RESPONSE', 'expected the ID of a trust domain, without a path')
}
