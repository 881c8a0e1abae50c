// What a workload can make with a genuine key of its own, when nobody holds it to the rules.
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { canonicalize, entryHash, type KestEntry, LABEL, ROOT_PARENT, type Signer } from '@kest/core'

/** Any members, of any type. */
export type Claim = Readonly<Record<string, unknown>> & { readonly labels?: Readonly<Record<string, string>> }

/** What was signed: a compact string, and its hash. */
export interface Forged {
  readonly jws: string
  readonly hash: string
}

/** What an entry says. Nothing of it is verified. */
export function payloadOf(jws: string): KestEntry {
  return JSON.parse(Buffer.from(jws.split('.')[1] as string, 'base64url').toString()) as KestEntry
}

export function headerOf(jws: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jws.split('.')[0] as string, 'base64url').toString())
}

export function traceOf(passport: readonly string[]): string {
  return payloadOf(passport[0] as string).labels[LABEL.traceId] as string
}

/** The payload of an entry that builds on these; honest, but for what is claimed. */
export function payloadOn(signer: Signer, parents: readonly string[], claim: Claim = {}): object {
  const [first] = parents.map(payloadOf)
  const { labels, ...members } = claim
  return {
    schema_version: '0.3.0',
    runtime: { name: 'kest-typescript', version: '0.1.0' },
    entry_id: uuidV7(),
    operation: 'GET /orders',
    classification: 'system',
    trust_score: first?.trust_score ?? 100,
    parent_ids: first === undefined ? [ROOT_PARENT] : parents.map(entryHash),
    added_taints: [],
    removed_taints: [],
    taints: first?.taints ?? [],
    labels: {
      [LABEL.principal]: signer.workloadId,
      [LABEL.traceId]: first?.labels[LABEL.traceId] ?? randomBytes(16).toString('hex'),
      ...labels,
    },
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
    timestamp_ms: Date.now(),
    ...members,
  }
}

/** An entry that builds on these. */
export function entryOn(signer: Signer, parents: readonly string[], claim: Claim = {}): Forged {
  return signText(signer, canonicalize(payloadOn(signer, parents, claim)))
}

/** Signs any text under any header: as JSON, or as it is. */
export function signText(signer: Signer, text: string, header: object | string = {}): Forged {
  const json =
    typeof header === 'string' ? header : JSON.stringify({ ...signer.header, typ: 'JWS', ...header })
  const input = `${base64url(json)}.${base64url(text)}`
  return forged(`${input}.${base64url(signer.sign(Buffer.from(input, 'latin1')) as Uint8Array)}`)
}

/** That it refused what builds on these (K-DENIAL), as something of this `typ`. */
export function denialOn(signer: Signer, parents: readonly string[], typ = 'kest-denial'): Forged {
  const denial = {
    denial_id: uuidV7(),
    principal: signer.workloadId,
    operation: 'GET /orders',
    code: 'ERR_KEST_DENIED',
    policies: ['allow'],
    parents: parents.map(entryHash),
    trace_id: traceOf(parents),
    n: `${randomUUID()}:1`,
    timestamp_ms: Date.now(),
  }
  return signText(signer, canonicalize(denial), { typ })
}

/** As {@link signText}, with a MAC in place of the signature. */
export function macText(key: Uint8Array, text: string, header: object): Forged {
  const input = `${base64url(JSON.stringify(header))}.${base64url(text)}`
  return forged(`${input}.${createHmac('sha256', key).update(input).digest('base64url')}`)
}

export function forged(jws: string): Forged {
  return { jws, hash: entryHash(jws) }
}

/** States that another acts. */
export const ADMIN: Readonly<Record<string, string>> = {
  [LABEL.identity]: '{"agent":null,"task":null,"user":"admin"}',
  [LABEL.identityStated]: 'true',
}

/** Who sends, to whom, which tips (K-HOP). */
export function hopToken(
  signer: Signer,
  aud: string,
  tips: readonly string[],
  { seconds = 30 }: { readonly seconds?: number } = {},
): string {
  const iat = Math.floor(Date.now() / 1000)
  const claims = { aud, exp: iat + seconds, iat, jti: randomUUID(), tips }
  return signText(signer, JSON.stringify(claims), { typ: 'kest-hop' }).jws
}

/** Members of a `baggage` header; one that is `undefined` is left out. */
export type Members = Readonly<Record<string, string | undefined>>

export function baggageOf(members: Members): string {
  return Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${encodeURIComponent(value as string)}`)
    .join(',')
}

/** A value of `kest.passport_z`. */
export function compressed(json: string): string {
  return deflateSync(json).toString('base64url')
}

/** Order of P-256 (SEC 2 §2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The same entry with the other of its two valid signatures. */
export function twinOf(jws: string): Forged {
  const [header, payload, signature] = jws.split('.') as [string, string, string]
  const bytes = Buffer.from(signature, 'base64url')
  const s = ORDER - BigInt(`0x${bytes.toString('hex', 32)}`)
  bytes.write(s.toString(16).padStart(64, '0'), 32, 'hex')
  return forged(`${header}.${payload}.${bytes.toString('base64url')}`)
}

function uuidV7(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  const random = randomUUID()
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`
}

function base64url(data: string | Uint8Array): string {
  return Buffer.from(data).toString('base64url')
}
