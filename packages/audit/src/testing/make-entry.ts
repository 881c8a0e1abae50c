import { createHash } from 'node:crypto'
import { canonicalize, entryHash, type KestEntry, LABEL, ROOT_PARENT, type Signer } from '@kest/core'

/** What an entry is to say; the rest is as an ordinary one has it. */
export type EntryClaim = Partial<Omit<KestEntry, 'labels'>> & {
  readonly labels?: Readonly<Record<string, string | undefined>>
}

export interface MadeEntry {
  readonly jws: string
  readonly hash: string
  readonly entry: KestEntry
}

/** Lets everybody of these tests begin lineage. */
export const EVERYBODY = [{ workload: 'spiffe://kest.test/*', ceiling: 100, identity: true }] as const

/** An entry as a workload might sign it, whatever it claims: the hook would refuse some of this. */
export function makeEntry(signer: Signer, parents: readonly MadeEntry[], claim: EntryClaim = {}): MadeEntry {
  const { labels, ...members } = claim
  const entry: KestEntry = {
    schema_version: '0.3.0',
    runtime: { name: 'kest-typescript', version: '0.1.0' },
    entry_id: nextId(),
    operation: 'GET /orders/:id',
    classification: 'system',
    trust_score:
      parents.length === 0 ? 40 : Math.min(...parents.map(({ entry: { trust_score } }) => trust_score)),
    parent_ids: parents.length === 0 ? [ROOT_PARENT] : parents.map(({ hash }) => hash),
    added_taints: [],
    removed_taints: [],
    taints: [...new Set(parents.flatMap(({ entry: { taints } }) => taints))].sort(),
    labels: labelsOf(signer, parents, labels),
    policy_context: {
      enterprise_policies: [],
      platform_policies: [],
      app_policies: [],
      function_policies: ['orders/read'],
      deviations: [],
    },
    environment: {},
    otel_context: {},
    metadata: null,
    content_hash: '',
    input_hash: '',
    timestamp_ms: (parents.at(-1)?.entry.timestamp_ms ?? FIRST) + 1,
    ...members,
  }
  return signPayload(signer, entry)
}

const NO_POLICIES = Object.freeze({
  enterprise_policies: [],
  platform_policies: [],
  app_policies: [],
  function_policies: [],
  deviations: [],
})

/** How an operation has ended, as its workload might sign it (K-OUTCOME). */
export function makeOutcome(signer: Signer, of: MadeEntry, claim: EntryClaim = {}): MadeEntry {
  return makeEntry(signer, [of], {
    operation: `${of.entry.operation}#end`,
    policy_context: NO_POLICIES,
    ...claim,
    labels: { [LABEL.outcome]: 'succeeded', ...claim.labels },
  })
}

/** A label that is `undefined` is left out. */
function labelsOf(
  signer: Signer,
  parents: readonly MadeEntry[],
  own: EntryClaim['labels'],
): Record<string, string> {
  const labels: Record<string, string | undefined> = {
    [LABEL.principal]: signer.workloadId,
    [LABEL.traceId]: parents[0]?.entry.labels[LABEL.traceId] ?? nextTraceId(),
    ...own,
  }
  const present = Object.entries(labels).filter((one): one is [string, string] => one[1] !== undefined)
  return Object.fromEntries(present)
}

/** Signs whatever is given, an entry or not. */
export function signPayload(signer: Signer, payload: object): MadeEntry {
  const jws = signAs(signer, 'JWS', canonicalize(payload))
  return { jws, hash: entryHash(jws), entry: payload as KestEntry }
}

/** Signs a text, whatever it is said to be. */
export function signAs(signer: Signer, typ: string, payload: string): string {
  const input = `${headerOf(signer, typ)}.${base64url(payload)}`
  return `${input}.${base64url(signer.sign(Buffer.from(input, 'latin1')) as Uint8Array)}`
}

const FIRST = Date.UTC(2026, 0, 31, 12)
let made = 0

/** Different each time, and the same in each run. */
export function nextId(): string {
  const hex = digest(`entry ${made++}`)
  return `01a0c450-${hex.slice(0, 4)}-7${hex.slice(4, 7)}-8${hex.slice(7, 10)}-${hex.slice(10, 22)}`
}

export function nextTraceId(): string {
  return digest(`trace ${made++}`).slice(0, 32)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const headers = new WeakMap<Signer, Map<string, string>>()

function headerOf(signer: Signer, typ: string): string {
  let known = headers.get(signer)
  if (known === undefined) {
    known = new Map()
    headers.set(signer, known)
  }
  let header = known.get(typ)
  if (header === undefined) {
    header = base64url(JSON.stringify({ ...signer.header, typ }))
    known.set(typ, header)
  }
  return header
}

function base64url(data: string | Uint8Array): string {
  return Buffer.from(data).toString('base64url')
}
