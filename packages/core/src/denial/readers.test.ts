import { describe, expect, it } from 'vitest'
import {
  denialJws,
  denialPayload,
  PASSED_OFF,
  refuser,
  signedByRefuser,
} from '../../tests/support/denials.js'
import { chain, entryWith, failure, sign as signEntryAs, trustIn } from '../../tests/support/signed.js'
import { createKest } from '../config/kest.js'
import { canonicalize } from '../entry/canonicalize.js'
import { parseEntry } from '../entry/parse.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { createEvidence, parseEvidence, verifyEvidence } from '../passport/evidence.js'
import { Passport } from '../passport/passport.js'
import { verifyPassport } from '../passport/verify.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { parseDenial } from './parse.js'
import { verifyDenial } from './verify.js'

const hop1 = refuser
const keys = { [hop1.getWorkloadId()]: [hop1.getPublicJwk()] }
const payload = denialPayload
const signed = signedByRefuser
const denial = denialJws

function without(name: string): object {
  return Object.fromEntries(Object.entries(payload).filter(([member]) => member !== name))
}

const codeOf = (read: () => unknown): unknown => {
  try {
    read()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return undefined
}

describe('K-DENIAL readers of entries', () => {
  it.each(Object.entries(PASSED_OFF))('K-DENIAL refuse one, %s', async (_, jws) => {
    const codes = ['ERR_KEST_ENTRY_HEADER', 'ERR_KEST_ENTRY_SCHEMA']
    expect(codes).toContain(codeOf(() => parseEntry(jws, { limits: DEFAULT_LIMITS })))
    const [root] = chain({ by: 'hop1' })
    for (const passport of [[jws], [root?.jws as string, jws], [jws, root?.jws as string]]) {
      for (const mode of ['full', 'tip', 'off'] as const) {
        const verifying = verifyPassport(new Passport(passport), { trust: trustIn('hop1'), mode })
        expect(codes).toContain((await failure(verifying)).code)
      }
      const evidence = parseEvidence({ format: 'kest-evidence-1', passport, trust: { keys } })
      expect(codes).toContain((await failure(verifyEvidence(evidence))).code)
    }
  })

  it.each(Object.entries(PASSED_OFF))('K-DENIAL refuse one at the door, %s', async (_, jws) => {
    const kest = createKest({
      identity: hop1,
      engine: new MockPolicyEngine(),
      trust: trustIn('hop1'),
      logger: new RecordingLogger(),
    })
    const members = (passport: readonly string[]) => ({
      baggage: `kest.passport=${encodeURIComponent(JSON.stringify(passport))}`,
    })
    for (const mode of ['full', 'tip', 'off'] as const) {
      const options = { mode, maxAgeMs: 1_000_000_000_000 }
      const { code } = await failure(kest.extract(members([jws]), options))
      expect(['ERR_KEST_ENTRY_HEADER', 'ERR_KEST_ENTRY_SCHEMA']).toContain(code)
      const kept = await failure(kest.resume({ passport: [jws] }, options))
      expect(['ERR_KEST_ENTRY_HEADER', 'ERR_KEST_ENTRY_SCHEMA']).toContain(kept.code)
    }
  })

  it('K-DENIAL is nobody’s parent: an entry that names one holds in no passport', async () => {
    const child = signEntryAs(entryWith({ parent_ids: [parseDenial(denial).hash] }), hop1.current())
    for (const passport of [[child.jws], [denial, child.jws]]) {
      const { code } = await failure(verifyPassport(new Passport(passport), { trust: trustIn('hop1') }))
      expect(['ERR_KEST_PARENT_UNKNOWN', 'ERR_KEST_ENTRY_HEADER']).toContain(code)
    }
  })
})

describe('K-DENIAL parseDenial', () => {
  it('K-DENIAL reads what was signed, and says who signed it', async () => {
    const parsed = parseDenial(denial)
    expect(parsed.denial).toEqual(payload)
    expect(Object.isFrozen(parsed.denial)).toBe(true)
    const verified = await verifyDenial(parsed, [trustIn('hop1')])
    expect(verified).toMatchObject({ principal: hop1.getWorkloadId(), denial: payload, alg: 'EdDSA' })
    expect(
      parseDenial(signed({ ...payload, parents: [], trace_id: null, unsigned: 3 })).denial.unsigned,
    ).toBe(3)
  })

  it.each<[string, unknown]>([
    ['an entry', chain({ by: 'hop1' })[0]?.jws],
    ['a denial with the typ of an entry', signed(payload, 'JWS')],
    ['a denial with that of a hop token', signed(payload, 'kest-hop')],
    ['an entry with its typ', signed(entryWith())],
    ['the members of an entry beside its own', signed({ ...entryWith(), ...payload })],
    ['one member more', signed({ ...payload, reason: 'no' })],
    ...Object.keys(payload).map((name): [string, unknown] => [`no ${name}`, signed(without(name))]),
    ['the parent of a root', signed({ ...payload, parents: ['0'] })],
    ['a parent twice', signed({ ...payload, parents: ['a'.repeat(64), 'a'.repeat(64)] })],
    ['another code', signed({ ...payload, code: 'DENIED' })],
    ['a number without a process', signed({ ...payload, n: 1 })],
    ['number 0', signed({ ...payload, n: '3f2b8c1e-0000-4000-8000-000000000001:0' })],
    ['a count of none', signed({ ...payload, unsigned: 0 })],
    ['an id of another kind', signed({ ...payload, denial_id: '3f2b8c1e-0000-4000-8000-000000000001' })],
    ['no principal', signed({ ...payload, principal: '' })],
    ['a trace of zeros', signed({ ...payload, trace_id: '0'.repeat(32) })],
    ['a list', signed([payload])],
    ['what is not canonical', rewritten(denial, 1, JSON.stringify(payload))],
    ['another spelling', `${denial}=`],
    ['no text', 7],
    ['no signature', denial.slice(0, denial.lastIndexOf('.') + 1)],
  ])('K-DENIAL refuses %s', (_, jws) => {
    expect(String(codeOf(() => parseDenial(jws)))).toMatch(/^ERR_KEST_ENTRY_/)
  })

  it('K-DENIAL is signed by the principal that it names, and by nobody else', async () => {
    const other = new MockIdentityProvider('hop2')
    const stolen = parseDenial(signed({ ...payload, principal: other.getWorkloadId() }))
    await expect(verifyDenial(stolen, [trustIn('hop1', 'hop2')])).rejects.toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
    })
    await expect(verifyDenial(stolen, [trustIn('hop1')])).rejects.toMatchObject({
      code: 'ERR_KEST_KEY_UNKNOWN',
    })
    const altered = parseDenial(rewritten(denial, 1, canonicalize({ ...payload, code: 'ERR_KEST_ROOT' })))
    await expect(verifyDenial(altered, [trustIn('hop1')])).rejects.toMatchObject({
      code: 'ERR_KEST_SIGNATURE',
    })
  })
})

function rewritten(jws: string, segment: number, text: string): string {
  return jws
    .split('.')
    .map((part, index) => (index === segment ? Buffer.from(text).toString('base64url') : part))
    .join('.')
}

describe('K-DENIAL evidence', () => {
  const passport = new Passport(chain({ by: 'hop1' }).map(({ jws }) => jws))

  it('K-DENIAL has denials beside its passport, and each is verified', async () => {
    const file = createEvidence({ passport, trust: { keys }, denials: [denial] })
    const evidence = parseEvidence(JSON.stringify(file))
    expect(evidence.passport.entries).toHaveLength(1)
    const verified = await verifyEvidence(evidence)
    expect(verified.denials).toMatchObject([{ denial: payload }])
    expect(verified.passport.entries).toHaveLength(1)
    expect(createEvidence({ passport, trust: { keys } })).not.toHaveProperty('denials')
  })

  it('K-DENIAL may have nothing but denials: what was refused at the edge has no lineage', async () => {
    const file = createEvidence({ passport: new Passport([]), trust: { keys }, denials: [denial] })
    await expect(verifyEvidence(parseEvidence(file))).resolves.toMatchObject({
      denials: [{ denial: payload }],
    })
  })

  it.each<[string, unknown, string]>([
    ['a list that is none', denial, 'ERR_KEST_EVIDENCE'],
    ['an entry among them', passport.entries, 'ERR_KEST_ENTRY_HEADER'],
    ['one twice', [denial, denial], 'ERR_KEST_EVIDENCE'],
    ['too many', Array(257).fill(denial), 'ERR_KEST_LIMIT'],
    [
      'one by a stranger',
      [signed({ ...payload, principal: 'spiffe://kest.test/x' })],
      'ERR_KEST_KEY_UNKNOWN',
    ],
    [
      'one that was altered',
      [rewritten(denial, 1, canonicalize({ ...payload, operation: 'x' }))],
      'ERR_KEST_SIGNATURE',
    ],
  ])('K-DENIAL does not hold with %s', async (_, denials, code) => {
    const file = { format: 'kest-evidence-1', passport: passport.toJSON(), trust: { keys }, denials }
    const verifying = async () => verifyEvidence(parseEvidence(file))
    await expect(verifying()).rejects.toMatchObject({ code })
  })
})
