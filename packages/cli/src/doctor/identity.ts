import type { SpiffeError, X509State, X509Svid } from '@kest/spiffe'
import { timeText } from '../terminal/time-text.js'
import { type Finding, type FindingCode, finding } from './finding.js'
import type { Settings } from './settings.js'
import { workloadState } from './workload-state.js'

/** Where a Workload API is (SPIFFE Workload Endpoint §4). */
const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'
/** Of the codes of `@kest/spiffe`, those that say more than that it cannot be reached. */
const BY_ERROR: Readonly<Record<string, FindingCode>> = {
  ERR_SPIFFE_ADDRESS: 'identity-address',
  ERR_SPIFFE_DENIED: 'identity-denied',
  ERR_SPIFFE_REFUSED: 'identity-refused',
  ERR_SPIFFE_RESPONSE: 'identity-unreadable',
}
/** An agent renews at half of the life; less than this part left, and it does not. */
const LATE = 0.25

/** Whether the Workload API answers, as whom, until when; and whose certificates can be verified by what it says. */
export async function checkIdentity(
  { env, trustDomains }: Settings,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const address = env[ENDPOINT_VARIABLE]
  if (!address) return notTold(trustDomains)
  const { SpiffeError: Failure, WorkloadApiClient } = await import('@kest/spiffe')
  let client: InstanceType<typeof WorkloadApiClient> | undefined
  try {
    client = new WorkloadApiClient({ address, logger: SILENT })
    const state = await workloadState(client, signal)
    return [...(await identityFindings(state)), ...trustFindings(state, trustDomains)]
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [identityFailure(error), ...withoutTrust(trustDomains, 'the Workload API says nothing')]
  } finally {
    client?.close()
  }
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

function notTold(trustDomains: readonly string[]): Finding[] {
  return [
    finding('identity', 'identity-not-told', 'SPIFFE_ENDPOINT_SOCKET is not set'),
    ...withoutTrust(trustDomains, 'SPIFFE_ENDPOINT_SOCKET is not set'),
  ]
}

/** What must be known, and is not, is a failure, whatever the reason. */
function withoutTrust(trustDomains: readonly string[], why: string): Finding[] {
  if (trustDomains.length === 0) return [finding('trust', 'trust-not-told', why)]
  return trustDomains.map((name) => finding('trust', 'trust-missing', `no bundle of ${name}: ${why}`))
}

function identityFailure(error: SpiffeError): Finding {
  return finding(
    'identity',
    BY_ERROR[error.code] ?? 'identity-unreachable',
    `${error.code}: ${error.message}`,
  )
}

async function identityFindings({ svids, bundles, problems }: X509State): Promise<Finding[]> {
  const unreadable = problems
    .filter(({ part }) => part.startsWith('SVID'))
    .map(({ part, error }) => finding('identity', 'identity-unreadable', `${part}: ${error.message}`))
  const [first, ...others] = svids
  if (first === undefined)
    return unreadable.length > 0 ? unreadable : [finding('identity', 'identity-denied', 'there is no SVID')]
  const several =
    others.length === 0
      ? []
      : [
          finding(
            'identity',
            'identity-several',
            `${svids.length} identities: ${svids.map(({ id }) => id).join(', ')}; the first is taken unless the service picks`,
          ),
        ]
  return [await validity(first, bundles), ...several, ...unreadable]
}

async function validity(svid: X509Svid, bundles: X509State['bundles']): Promise<Finding> {
  const { SpiffeError: Failure, verifyX509Chain } = await import('@kest/spiffe')
  const { id, notBefore, notAfter } = svid
  const now = Date.now()
  const span = `${id}, valid from ${timeText(notBefore)} to ${timeText(notAfter)}`
  if (now < notBefore || now >= notAfter)
    return finding('identity', 'identity-not-valid', `${span}; here it is ${timeText(now)}`)
  try {
    verifyX509Chain(svid.certificates, { getX509Bundle: (name) => bundles.get(name) }, { time: now })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return finding('identity', 'identity-not-trusted', `${id}: ${error.code}: ${error.message}`)
  }
  if (notAfter - now < (notAfter - notBefore) * LATE)
    return finding('identity', 'identity-not-rotated', `${span}; here it is ${timeText(now)}`)
  return finding('identity', 'identity-known', span)
}

function trustFindings({ bundles, problems }: X509State, wanted: readonly string[]): Finding[] {
  const names = [...bundles.keys()].sort()
  const missing = wanted.filter((name) => !bundles.get(name)?.authorities.length)
  return [
    ...(names.length === 0
      ? [finding('trust', 'trust-missing', 'the Workload API has no bundle at all')]
      : [finding('trust', 'trust-known', `workloads of ${names.join(', ')} can be verified`)]),
    ...missing.map((name) => finding('trust', 'trust-missing', `no bundle of ${name}`)),
    ...problems
      .filter(({ part }) => !part.startsWith('SVID'))
      .map(({ part, error }) => finding('trust', 'trust-unreadable', `${part}: ${error.message}`)),
  ]
}
