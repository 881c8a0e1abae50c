import { createHash } from 'node:crypto'
import { canonicalize, entryHash, type KestEntry } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'

/** An entry as a workload might sign it, whatever it claims: the hook would refuse some of this. */
export type Claim = Partial<Omit<KestEntry, 'labels'>> & {
  readonly by: string
  readonly labels?: Readonly<Record<string, string>>
}

const FIRST = Date.UTC(2026, 0, 31, 12)

/** A chain of entries, each the child of the one before unless it says otherwise. */
export function signChain(claims: readonly Claim[]): string[] {
  const passport: string[] = []
  for (const [i, { by, labels, ...claim }] of claims.entries()) {
    const { identity, principal } = signerOf(by)
    const { header, sign } = identity.current()
    const entry: KestEntry = {
      schema_version: '0.3.0',
      runtime: { name: 'kest-test', version: '1.0.0' },
      entry_id: uuid(by, i),
      operation: `step-${i}`,
      classification: 'system',
      trust_score: 100,
      parent_ids: i === 0 ? ['0'] : [entryHash(passport[i - 1] as string)],
      added_taints: [],
      removed_taints: [],
      taints: [],
      labels: { principal, trace_id: 'a'.repeat(32), ...labels },
      policy_context: {
        enterprise_policies: [],
        platform_policies: [],
        app_policies: [],
        function_policies: ['allow'],
        deviations: [],
      },
      environment: {},
      otel_context: {},
      metadata: null,
      content_hash: '',
      input_hash: '',
      timestamp_ms: FIRST + i,
      ...claim,
    }
    const input = `${base64url(JSON.stringify({ ...header, typ: 'JWS' }))}.${base64url(canonicalize(entry))}`
    passport.push(`${input}.${base64url(sign(Buffer.from(input)) as Uint8Array)}`)
  }
  return passport
}

/** Trust material that knows these workloads. */
export function trustOf(...names: readonly string[]): { keys: Record<string, unknown> } {
  const signers = names.map(signerOf)
  return {
    keys: Object.fromEntries(
      signers.map(({ identity, principal }) => [principal, [identity.getPublicJwk()]]),
    ),
  }
}

/** Whose key signs, and as whom: a principal with control characters has no provider that would take it. */
function signerOf(by: string): { identity: MockIdentityProvider; principal: string } {
  const harmful = /[\p{Cc}\p{Cf}]/u.test(by)
  const identity = new MockIdentityProvider(harmful ? 'stranger' : by)
  return { identity, principal: harmful ? by : identity.getWorkloadId() }
}

/** Evidence of such a chain, with the keys of all who signed. */
export function evidenceOf(claims: readonly Claim[], members: Record<string, unknown> = {}): object {
  return {
    format: 'kest-evidence-1',
    passport: signChain(claims),
    trust: trustOf(...claims.map(({ by }) => by)),
    ...members,
  }
}

function uuid(by: string, i: number): string {
  const hex = createHash('sha256').update(`${by}${i}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(12, 15)}-8${hex.slice(15, 18)}-${hex.slice(18, 30)}`
}

function base64url(data: string | Uint8Array): string {
  return Buffer.from(data).toString('base64url')
}
