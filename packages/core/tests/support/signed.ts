import type { JsonWebKey } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { type KestEntry, LABEL, RUNTIME_NAME } from '../../src/entry/entry.js'
import { KestError, type KestErrorCode, PassportVerificationError } from '../../src/errors.js'
import type { KeySource } from '../../src/identity/key-source.js'
import { createKeySource } from '../../src/identity/keys.js'
import { MockIdentityProvider } from '../../src/identity/mock.js'
import type { IdentityProvider, Signer } from '../../src/identity/provider.js'
import { type SignedEntry, signEntry } from '../../src/jws/compact.js'

const TIME = Date.UTC(2030, 0, 1)
export const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

let made = 0

/** A lowercase UUID v7, another one each time. */
export function nextId(): string {
  made++
  return `0195c8a0-0000-7000-8000-${made.toString(16).padStart(12, '0')}`
}

export type Labels = Readonly<Record<string, string | undefined>>
export type EntryChanges = Omit<Partial<KestEntry>, 'labels'> & { readonly labels?: Labels }

/** A root of `hop1` as this implementation writes it, with changes. A label that is `undefined` is left out. */
export function entryWith(changes: EntryChanges = {}): KestEntry {
  const labels: Record<string, string> = {}
  const wanted = { [LABEL.principal]: 'spiffe://kest.test/hop1', [LABEL.traceId]: TRACE, ...changes.labels }
  for (const [name, value] of Object.entries(wanted)) if (value !== undefined) labels[name] = value
  return {
    schema_version: '0.3.0',
    runtime: { name: RUNTIME_NAME, version: '0.1.0' },
    entry_id: nextId(),
    operation: 'GET /orders/:id',
    classification: 'system',
    trust_score: 100,
    parent_ids: ['0'],
    added_taints: [],
    removed_taints: [],
    taints: [],
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
    timestamp_ms: TIME,
    ...changes,
    labels,
  }
}

/** Signs at once, as all signers of these tests do. */
export function sign(entry: KestEntry, signer: Signer): SignedEntry {
  return signEntry(entry, signer) as SignedEntry
}

/** One entry of a chain: who makes it, and what is unusual about it. */
export type Step = { readonly by?: string } & EntryChanges

/**
 * Signs entries one after the other, each the child of the one before unless it says otherwise; `by` is a name for a
 * {@link MockIdentityProvider}, `hop1` unless said otherwise.
 */
export function chain(...steps: readonly Step[]): SignedEntry[] {
  const signed: SignedEntry[] = []
  for (const { by = 'hop1', ...changes } of steps) {
    const identity = new MockIdentityProvider(by)
    const last = signed.at(-1)
    const entry = entryWith({
      parent_ids: last === undefined ? ['0'] : [last.hash],
      ...changes,
      labels: { [LABEL.principal]: identity.getWorkloadId(), ...changes.labels },
    })
    signed.push(sign(entry, identity.current()))
  }
  return signed
}

export const strings = (entries: readonly SignedEntry[]): string[] => entries.map(({ jws }) => jws)

/** Trusts the mock identities of these names, or these identities. */
export function trustIn(
  ...who: readonly (string | (IdentityProvider & { getPublicJwk(): JsonWebKey }))[]
): KeySource {
  const keys = new Map<string, JsonWebKey[]>()
  for (const one of who) {
    const identity = typeof one === 'string' ? new MockIdentityProvider(one) : one
    keys.set(identity.getWorkloadId(), [identity.getPublicJwk()])
  }
  return createKeySource(keys)
}

/** The compact string of any header and payload text, signed as told. */
export function compact(
  header: unknown,
  payload: string | Uint8Array,
  signer?: Pick<Signer, 'sign'>,
): string {
  const text = typeof header === 'string' ? header : JSON.stringify(header)
  const input = `${base64url(text)}.${base64url(payload)}`
  const signature =
    signer === undefined ? Buffer.alloc(64, 1) : (signer.sign(Buffer.from(input)) as Uint8Array)
  return `${input}.${base64url(signature)}`
}

export function base64url(data: string | Uint8Array): string {
  return Buffer.from(data as string, 'utf8').toString('base64url')
}

/** The error that a function throws or a promise rejects with; fails the test unless it is one of ours. */
export async function failure(of: (() => unknown) | Promise<unknown>): Promise<KestError> {
  try {
    await (typeof of === 'function' ? of() : of)
  } catch (error) {
    if (error instanceof KestError) return error
    throw error
  }
  return expect.fail('nothing was thrown')
}

/** Where and why a verification fails. */
export async function verdict(
  of: (() => unknown) | Promise<unknown>,
): Promise<{ readonly code: KestErrorCode; readonly index: number | null; readonly entryId: string | null }> {
  const error = await failure(of)
  if (!(error instanceof PassportVerificationError)) throw error
  return { code: error.code, index: error.index, entryId: error.entryId }
}

const VECTORS = new URL('../vectors/', import.meta.url)

/** The files of a folder of vectors: name, and text. */
export function vectors(folder: string): { readonly name: string; readonly text: string }[] {
  const url = new URL(`${folder}/`, VECTORS)
  return readdirSync(url).map((name) => ({ name, text: readFileSync(new URL(name, url), 'utf8') }))
}
