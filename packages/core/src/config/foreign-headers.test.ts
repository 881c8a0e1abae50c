import { createRequire } from 'node:module'
import { createContext, runInContext } from 'node:vm'
import { AxiosHeaders } from 'axios'
import { Headers as NodeFetch3Headers } from 'node-fetch'
import { describe, expect, it } from 'vitest'
import { KestError } from '../errors.js'
import { createKeySource } from '../identity/keys.js'
import { verifyPassport } from '../passport/verify.js'
import { MockIdentityProvider } from '../testing/index.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { createKest } from './kest.js'

/** It has no types of its own. */
const { Headers: NodeFetch2Headers } = createRequire(import.meta.url)('node-fetch2') as {
  Headers: typeof Headers
}

const URL_OF_HOP2 = 'http://127.0.0.1:1/x'
const identity = new MockIdentityProvider('spiffe://config.test/a')
const engine = new MockPolicyEngine()
const sender = createKest({ identity, engine })
const receiver = createKest({
  identity: new MockIdentityProvider('spiffe://config.test/b'),
  engine,
  trust: createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] }),
})
const operation = await sender.begin({ operation: 'root', policy: 'p', origin: 'system' })
const inject = (headers: never): Promise<never> =>
  sender.run(operation.state, () => sender.inject(headers, URL_OF_HOP2))

const PARTNER = {
  origin: 'internet',
  acceptLineage: true,
  binding: 'hop',
  audiences: ['http://hop2'],
} as const

const realm = createContext({})
const ofAnotherRealm = (code: string): never => runInContext(code, realm) as never

/** Another's class, as a library may have one, known by nothing but its methods. */
class Own {
  readonly values = new Map<string, string>()
  get(name: string) {
    return this.values.get(name.toLowerCase())
  }
  set(name: string, value: string) {
    this.values.set(name.toLowerCase(), value)
  }
  delete(name: string) {
    this.values.delete(name.toLowerCase())
  }
}

/** Each with a member of a stranger's, and one of ours that is not ours. */
const WRITTEN = 'theirs=1,kest.user=mallory'
const withdrawn = new AxiosHeaders()
withdrawn.set('Baggage', false)

const forms: readonly (readonly [name: string, make: () => never])[] = [
  ['Headers', () => new Headers({ baggage: WRITTEN }) as never],
  ['Headers of node-fetch 3', () => new NodeFetch3Headers({ Baggage: WRITTEN }) as never],
  ['Headers of node-fetch 2', () => new NodeFetch2Headers({ Baggage: WRITTEN }) as never],
  ['AxiosHeaders', () => new AxiosHeaders({ Baggage: WRITTEN }) as never],
  ['AxiosHeaders with a list', () => new AxiosHeaders({ Baggage: WRITTEN.split(',') }) as never],
  [
    'what has the methods of Headers',
    () => Object.assign(new Own(), { values: new Map([['baggage', WRITTEN]]) }) as never,
  ],
  ['a Map', () => new Map([['Baggage', WRITTEN]]) as never],
  [
    'a Map with two spellings',
    () => new Map(WRITTEN.split(',').map((line, n) => [n ? 'BAGGAGE' : 'baggage', line])) as never,
  ],
  [
    'pairs',
    () =>
      [
        ['x', '1'],
        ['Baggage', WRITTEN],
      ] as never,
  ],
  ['a flat list', () => ['x', '1', 'Baggage', WRITTEN] as never],
  ['a flat list of bytes', () => ['x', '1', 'Baggage', WRITTEN].map((text) => Buffer.from(text)) as never],
  ['an object', () => ({ Baggage: WRITTEN }) as never],
  ['an object without a prototype', () => Object.assign(Object.create(null), { baggage: WRITTEN }) as never],
  ['an object with bytes', () => ({ baggage: Buffer.from(WRITTEN) }) as never],
  ['an object with a Uint8Array', () => ({ baggage: new TextEncoder().encode(WRITTEN) }) as never],
  [
    'an object with a list of bytes',
    () => ({ baggage: WRITTEN.split(',').map((line) => Buffer.from(line)) }) as never,
  ],
  ['an object of another realm', () => ofAnotherRealm(`({ Baggage: ${JSON.stringify(WRITTEN)} })`)],
  ['a Map of another realm', () => ofAnotherRealm(`new Map([['Baggage', ${JSON.stringify(WRITTEN)}]])`)],
  ['pairs of another realm', () => ofAnotherRealm(`[['Baggage', ${JSON.stringify(WRITTEN)}]]`)],
  [
    'bytes of another realm',
    () => ofAnotherRealm(`({ baggage: new Uint8Array(${JSON.stringify([...Buffer.from(WRITTEN)])}) })`),
  ],
]

describe.each(forms)('headers that are %s', (_, make) => {
  it('carry a passport from inject to extract, once, beside the members of others', async () => {
    const headers = make()
    expect(await inject(headers)).toBe(headers)
    const state = await receiver.extract(headers)
    expect(state.frame.lineage.tips.map(({ hash }) => hash)).toEqual([operation.entry.hash])
    expect(textOf(headers)).toContain('theirs=1')
    expect(textOf(headers)).not.toContain('mallory')
    expect(textOf(headers).match(/kest\.passport/g)).toHaveLength(1)
    expect(textOf(headers).match(/baggage/gi)).toHaveLength(1)
  })

  it('are not believed by an edge, and not taken for empty', async () => {
    await expect(receiver.extract(make())).rejects.toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
    const partner = receiver.extract(make(), PARTNER)
    await expect(partner).rejects.toMatchObject({ code: 'ERR_KEST_BINDING' })
  })

  it('lose what is ours where there is nothing to carry', async () => {
    const headers = make()
    await sender.inject(headers, URL_OF_HOP2)
    expect(textOf(headers)).toContain('theirs=1')
    expect(textOf(headers)).not.toContain('kest')
  })
})

it('inject sets what axios was told not to send', async () => {
  await inject(withdrawn as never)
  expect(String(withdrawn.get('baggage'))).toContain('kest.passport')
})

it.each<[string, (token: string) => unknown]>([
  ['an object', (token) => ({ 'Txn-Token': token })],
  ['Headers', (token) => new Headers({ 'Txn-Token': token })],
  ['what is known by its methods', (token) => Object.assign(new Own(), { get: () => token })],
])('extract reads a token out of the header of its own in %s', async (_, make) => {
  const options = {
    origin: 'internet',
    token: {
      jwks: { keys: [identity.getPublicJwk()] },
      issuer: 'https://i.test',
      audience: 'a',
      header: 'Txn-Token',
    },
  }
  const extracted = receiver.extract(make('a.b.c') as never, options)
  await expect(extracted).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN' })
})

function thrower(): never {
  throw new TypeError('not these')
}

it.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['text', 'baggage: kest.user=eve'],
  ['a flat list with a name too many', ['baggage', 'a=1', 'x']],
  ['pairs among other things', [['baggage', 'a=1'], 'x']],
  ['an object that inherits', Object.create({ baggage: 'a=1' })],
  [
    'an object that inherits from one that inherits nothing',
    Object.create(Object.assign(Object.create(null), { baggage: 'a=1' })),
  ],
  ['such as throw when they are asked', { get: thrower, set: thrower, delete: thrower }],
  ['such as throw when they are listed', { [Symbol.iterator]: thrower }],
  ['a Proxy that throws', new Proxy({}, { ownKeys: thrower })],
  [
    'an instance of a class',
    new (class {
      baggage = 'a=1'
    })(),
  ],
  ['a Request', new Request(URL_OF_HOP2)],
])('headers that are %s are refused, in which nobody would look', async (_, headers) => {
  const refused = { code: 'ERR_KEST_CONFIG' }
  await expect(inject(headers as never)).rejects.toMatchObject(refused)
  await expect(receiver.extract(headers as never)).rejects.toMatchObject(refused)
})

it.each<[string, unknown]>([
  ['an empty list', []],
  ['what can only be listed', (function* () {})()],
])('inject refuses %s, which would carry nothing', async (_, headers) => {
  await expect(inject(headers as never)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
})

it.each<[string, unknown]>([
  ['an object', { baggage: 'kest.user=eve' }],
  ['true', true],
  ['bytes that are no UTF-8', Buffer.from([0xff])],
  ['a list of objects', [{}]],
  ['a list of lists', [['kest.user=eve']]],
  ['a list as deep as a stranger’s JSON can be', JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))],
  ['a function', () => 'kest.user=eve'],
])('a value that is %s is refused, never sent as something else', async (_, value) => {
  const headers = { baggage: value }
  await expect(inject(headers as never)).rejects.toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
  expect(headers.baggage).toBe(value)
  await expect(receiver.extract(headers as never)).rejects.toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
  const token = { authorization: value } as never
  const options = {
    origin: 'internet',
    token: { jwks: { keys: [identity.getPublicJwk()] }, issuer: 'https://i.test', audience: 'a' },
  }
  await expect(receiver.extract(token, options)).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN' })
})

it('a listener takes no bytes for a header that is not there, at an edge either', async () => {
  const headers = () => ({ baggage: Buffer.from('kest.user=eve') as never })
  for (const options of [{}, { origin: 'internet' }, PARTNER]) {
    const judged = receiver.listener(options).receive({ headers: headers() })
    await expect(judged).rejects.toMatchObject({ code: 'ERR_KEST_BAGGAGE' })
  }
})

it('resume takes a passport whatever realm its list or its bytes are of', async () => {
  const { entries } = operation.passport
  const json = JSON.stringify(entries)
  const bytes = `new Uint8Array(${JSON.stringify([...Buffer.from(json)])})`
  const forms = [
    operation.passport,
    [...entries],
    json,
    Buffer.from(json),
    ofAnotherRealm(json),
    ofAnotherRealm(bytes),
  ]
  for (const passport of forms) {
    const state = await receiver.resume({ passport }, {})
    expect(state.frame.lineage.tips[0]?.hash).toBe(operation.entry.hash)
  }
  await expect(receiver.resume({ passport: Promise.resolve(json) }, {})).rejects.toBeInstanceOf(KestError)
})

it('keys may be in a Map of another realm, and signatures be bytes of another', async () => {
  const source = createKeySource(
    ofAnotherRealm(`new Map(${JSON.stringify([[identity.getWorkloadId(), [identity.getPublicJwk()]]])})`),
  )
  const signer = identity.current()
  const sign = (input: Buffer): never =>
    ofAnotherRealm(`new Uint8Array(${JSON.stringify([...(signer.sign(input) as Uint8Array)])})`)
  const foreign = { getWorkloadId: () => signer.workloadId, current: () => ({ ...signer, sign }) }
  const begun = await createKest({ identity: foreign, engine }).begin({
    operation: 'root',
    policy: 'p',
    origin: 'system',
  })
  const { entries } = await verifyPassport(begun.passport, {
    trust: source,
    at: ofAnotherRealm('new Date()'),
  })
  expect(entries).toHaveLength(1)
})

/** Whatever is in some headers. */
function textOf(headers: unknown): string {
  const { values } = headers as { readonly values?: unknown }
  const pairs =
    values instanceof Map
      ? [...values]
      : Symbol.iterator in (headers as object)
        ? [...(headers as Iterable<unknown>)]
        : Object.entries(headers as object)
  return String(pairs.flat(2))
}
