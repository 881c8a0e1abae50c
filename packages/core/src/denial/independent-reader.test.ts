import { createHash } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { denialJws, denialPayload, PASSED_OFF, refuser } from '../../tests/support/denials.js'
import { chain, strings } from '../../tests/support/signed.js'
import { MockIdentityProvider } from '../identity/mock.js'

/** Members of an entry, as the protocol lists them (SPEC §3.1). */
const MEMBERS = {
  schema_version: 'string',
  runtime: 'object',
  entry_id: 'string',
  operation: 'string',
  classification: 'string',
  trust_score: 'number',
  parent_ids: 'object',
  added_taints: 'object',
  removed_taints: 'object',
  taints: 'object',
  labels: 'object',
  policy_context: 'object',
  environment: 'object',
  otel_context: 'object',
  content_hash: 'string',
  input_hash: 'string',
  timestamp_ms: 'number',
}

interface Rules {
  /** Whether it looks at the header's `typ`. */
  readonly typ: boolean
  /** Whether it asks for every member of an entry. */
  readonly members: boolean
}

/**
 * A reader that shares no code with this package: `jose`, and the rules of the protocol for an entry, its principal and its parents.
 * @returns the operations
 */
async function read(passport: readonly string[], { typ, members }: Rules): Promise<string[]> {
  const hashes = new Set<string>()
  const operations: string[] = []
  for (const jws of passport) {
    const payload = JSON.parse(Buffer.from(jws.split('.')[1] as string, 'base64url').toString('utf8'))
    if (members)
      for (const [name, type] of Object.entries(MEMBERS))
        if (typeof payload[name] !== type) throw new Error(`no ${name}`)
    const principal: string = payload.labels?.principal ?? payload.principal
    const known = KEYS.get(principal)
    if (known === undefined) throw new Error('an unknown principal')
    const { protectedHeader } = await compactVerify(jws, await importJWK(known, 'EdDSA'))
    if (typ && protectedHeader.typ !== 'JWS') throw new Error(`a typ of ${protectedHeader.typ}`)
    const parents: string[] = payload.parent_ids ?? payload.parents
    if (parents[0] !== '0' && !parents.every((hash) => hashes.has(hash))) throw new Error('an unknown parent')
    hashes.add(createHash('sha256').update(jws).digest('hex'))
    operations.push(payload.operation)
  }
  return operations
}

const KEYS = new Map(
  ['hop1', 'hop2'].map((name) => {
    const identity = new MockIdentityProvider(name)
    return [identity.getWorkloadId(), identity.getPublicJwk()]
  }),
)
const passport = strings(chain({ by: 'hop1' }, { by: 'hop2' }))

const READERS: Readonly<Record<string, Rules>> = {
  'all of the protocol': { typ: true, members: true },
  'typ alone': { typ: true, members: false },
  'the members alone': { typ: false, members: true },
}

describe.each(Object.entries(READERS))('K-DENIAL a reader of its own that looks at %s', (_, rules) => {
  it('K-DENIAL reads entries', async () => {
    expect(await read(passport, rules)).toEqual(['GET /orders/:id', 'GET /orders/:id'])
  })

  it('K-DENIAL takes a signed denial for no entry', async () => {
    for (const denied of [[denialJws], [...passport, denialJws]])
      await expect(read(denied, rules)).rejects.toThrow(/^(?:no \w+|a typ of kest-denial)$/)
  })
})

describe('K-DENIAL a reader of its own that looks at both', () => {
  it.each(Object.entries(PASSED_OFF))('K-DENIAL takes it for no entry, %s', async (_, jws) => {
    await expect(read([jws], { typ: true, members: true })).rejects.toThrow(
      /^(?:no \w+|a typ of kest-denial)$/,
    )
  })

  it('K-DENIAL can check who has refused by the same means', async () => {
    const key = await importJWK(KEYS.get(refuser.getWorkloadId()) as object, 'EdDSA')
    const { payload, protectedHeader } = await compactVerify(denialJws, key)
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'kest-denial' })
    expect(JSON.parse(Buffer.from(payload).toString('utf8'))).toEqual(denialPayload)
  })
})
