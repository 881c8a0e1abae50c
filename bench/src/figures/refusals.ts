import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import {
  DEFAULT_LIMITS,
  KestError,
  type KestErrorCode,
  type Listener,
  type ListenerOptions,
} from '@kest/core'
import { SignJWT } from 'jose'
import type { TimeFigure, Work } from '../figure.js'
import { createHopToken } from '../internals.js'
import * as hostile from '../refusals/hostile.js'
import { DOMAIN, ORIGIN, type World, world } from '../refusals/world.js'

const { compressed, forged } = hostile

/** None costs more than so many honest requests to the same listener. */
const TARGET = 3
const HONEST = 'an honest request of 3 hops'

type Headers = Record<string, string | undefined>

interface Refusal {
  readonly name: string
  readonly code: KestErrorCode
  readonly floor?: string
  readonly listener?: ListenerOptions
  /** What the listener that refuses has besides. */
  readonly strict?: ListenerOptions
  /** Headers of the request that is refused. */
  readonly hostile: (world: World) => Headers | Promise<Headers>
  /** Those of an honest one; default: three hops. */
  readonly honest?: (world: World) => Headers | Promise<Headers>
  readonly peer?: string
}

/** What is refused at the door. */
function atTheDoor({
  name,
  code,
  floor = HONEST,
  listener = {},
  strict,
  peer,
  ...requests
}: Refusal): TimeFigure {
  return {
    group: 'refusal',
    name,
    unit: 'µs',
    floor,
    target: TARGET,
    async prepare() {
      const here = await world()
      const honest = await (requests.honest ?? (({ baggage }) => ({ baggage })))(here)
      const bad = await requests.hostile(here)
      const tip = `spiffe://${DOMAIN}/hop3`
      return {
        floor: received(here, here.receiver.listener(listener), honest, tip),
        subject: refused(here, here.receiver.listener({ ...listener, ...strict }), bad, code, peer ?? tip),
      }
    },
  }
}

function received({ forget }: World, listener: Listener, headers: Headers, spiffeId: string): Work {
  return () => {
    forget()
    return listener.receive({ headers: { ...headers }, peer: { spiffeId } })
  }
}

function refused(
  { forget }: World,
  listener: Listener,
  headers: Headers,
  code: KestErrorCode,
  spiffeId: string,
): Work {
  return async () => {
    forget()
    try {
      await listener.receive({ headers: { ...headers }, peer: { spiffeId } })
    } catch (error) {
      if (error instanceof KestError && error.code === code) return
      throw error
    }
    throw new Error(`the benchmark expected ${code}`)
  }
}

const baggage = (text: string): Headers => ({ baggage: text })

const header: readonly Refusal[] = [
  { name: 'no baggage', code: 'ERR_KEST_LINEAGE_MISSING', hostile: () => ({}) },
  {
    name: 'thousands of members of others',
    code: 'ERR_KEST_LINEAGE_MISSING',
    hostile: () => baggage(hostile.members('a')),
  },
  {
    name: 'thousands of members to be decoded',
    code: 'ERR_KEST_BAGGAGE',
    hostile: () => baggage(hostile.members('%80')),
  },
  {
    name: 'thousands of members in plus signs',
    code: 'ERR_KEST_LINEAGE_MISSING',
    hostile: () => baggage(hostile.members('+')),
  },
  {
    name: 'one member escaped over and over',
    code: 'ERR_KEST_LINEAGE_MISSING',
    hostile: () => baggage(`${'%25'.repeat(5000)}=1`),
  },
  {
    name: 'thousands of members of ours',
    code: 'ERR_KEST_LINEAGE_MISSING',
    hostile: () => baggage(hostile.members('kest.jwt=1')),
  },
  {
    name: 'thousands of members misspelled',
    code: 'ERR_KEST_BAGGAGE',
    hostile: () => baggage(hostile.members('kEst.a=1')),
  },
  {
    name: 'thousands of arrays that do not end',
    code: 'ERR_KEST_BAGGAGE',
    hostile: () => baggage(hostile.members('kest.a=[')),
  },
  {
    name: 'a passport of escapes',
    code: 'ERR_KEST_PASSPORT_MALFORMED',
    hostile: () => baggage(`kest.passport=${'%5b'.repeat(5000)}`),
  },
  {
    name: 'hundreds of tips',
    code: 'ERR_KEST_BAGGAGE',
    hostile: () => baggage(`kest.chain_tip=${'a'.repeat(64)}${'%2C'.repeat(5000)}`),
  },
  { name: 'a header too long', code: 'ERR_KEST_LIMIT', hostile: () => baggage('kest.user=a,'.repeat(1500)) },
  {
    name: 'a decompression bomb',
    code: 'ERR_KEST_LIMIT',
    hostile: () => baggage(compressed(`["${'0'.repeat(8_000_000)}"]`)),
  },
  {
    name: 'a passport of 96 KiB in escapes',
    code: 'ERR_KEST_ENTRY_MALFORMED',
    hostile: () => baggage(compressed(`["${'\\u0041'.repeat(16_000)}"]`)),
  },
  {
    name: 'a passport of 96 KiB without entries',
    code: 'ERR_KEST_ENTRY_MALFORMED',
    hostile: () => baggage(compressed(`[${' '.repeat(98_000)}"a"]`)),
  },
]

const known = ({ passport }: World): string => passport[0] as string
const STRANGER = `spiffe://stranger.example/x`
const X5C = (x5c: readonly string[]) => ({ alg: 'ES256', typ: 'JWS', x5c })

const entries: readonly Refusal[] = [
  {
    name: 'nested lists in 60 entries, by nobody known',
    code: 'ERR_KEST_KEY_UNKNOWN',
    hostile: (w) =>
      baggage(compressed(forged(known(w), 60, { principal: STRANGER, metadata: hostile.nested(300) }))),
  },
  {
    name: 'nested lists of 16 KiB, never signed',
    code: 'ERR_KEST_SIGNATURE',
    hostile: (w) => baggage(compressed(forged(known(w), 8, { metadata: hostile.nested(3200) }))),
  },
  {
    name: 'nested lists in 60 entries, never signed',
    code: 'ERR_KEST_SIGNATURE',
    hostile: (w) => baggage(compressed(forged(known(w), 60, { metadata: hostile.nested(200) }))),
  },
  {
    name: 'fractions of 16 KiB, never signed',
    code: 'ERR_KEST_SIGNATURE',
    hostile: (w) => baggage(compressed(forged(known(w), 8, { metadata: hostile.fractions(2300) }))),
  },
  {
    name: '60 entries, never signed',
    code: 'ERR_KEST_SIGNATURE',
    hostile: (w) => baggage(compressed(forged(known(w), 60))),
  },
  {
    name: 'an honest passport, and 40 entries never signed',
    code: 'ERR_KEST_SIGNATURE',
    hostile: (w) =>
      baggage(compressed([...w.passport, ...forged(known(w), 40, { metadata: hostile.nested(400) })])),
  },
  {
    name: 'a protected header of many members',
    code: 'ERR_KEST_CERTIFICATE',
    hostile: (w) =>
      baggage(
        compressed(forged(known(w), 8, { header: { ...X5C(['AAAA']), ...hostile.manyMembers(1000) } })),
      ),
  },
  {
    name: 'a protected header of nested lists',
    code: 'ERR_KEST_CERTIFICATE',
    hostile: (w) =>
      baggage(compressed(forged(known(w), 8, { header: { ...X5C(['AAAA']), z: hostile.nested(3200) } }))),
  },
  {
    name: 'four certificates of P-521, by nobody',
    code: 'ERR_KEST_CERTIFICATE',
    hostile: (w) => baggage(compressed(forged(known(w), 8, { header: X5C(hostile.rogueChain('P-521')) }))),
  },
  {
    name: 'four certificates of many extensions',
    code: 'ERR_KEST_CERTIFICATE',
    hostile: (w) =>
      baggage(compressed(forged(known(w), 1, { header: X5C(hostile.rogueChain('P-256', 28)) }))),
  },
  {
    name: 'an honest passport with another tip',
    code: 'ERR_KEST_TIP',
    hostile: (w) => baggage(w.baggage.replace(/kest\.chain_tip=[0-9a-f]{8}/, 'kest.chain_tip=00000000')),
  },
  {
    name: 'an honest passport for another person',
    code: 'ERR_KEST_IDENTITY_CONFLICT',
    hostile: (w) => baggage(`${w.baggage},kest.user=mallory`),
  },
  {
    name: 'an old passport',
    code: 'ERR_KEST_FRESHNESS',
    strict: { maxAgeMs: 1 },
    hostile: (w) => baggage(w.baggage),
  },
  {
    name: 'a claim check for nothing',
    code: 'ERR_KEST_CACHE',
    hostile: () =>
      baggage(`kest.claim_check=6f1d3c5e-8a3b-4c1d-9e2f-0a1b2c3d4e5f,kest.chain_tip=${'a'.repeat(64)}`),
  },
]

/** The header of an honest request with its sender's token, of which another payload may take the place. */
async function withToken({ baggage: honest, operation, senders }: World, claims?: object): Promise<Headers> {
  const signer = await senders[2].identity?.current()
  if (signer === undefined) throw new Error('the workload of the benchmark has no identity')
  const token = await createHopToken(signer, ORIGIN, [operation.entry.hash], Date.now(), DEFAULT_LIMITS, 4096)
  const [head, payload, signature] = token.split('.')
  const stated = claims === undefined ? payload : hostile.base64url(JSON.stringify(claims))
  return baggage(`${honest},kest.hop=${head}.${stated}.${signature}`)
}

function claimsFor({ operation }: World, more: object = {}): object {
  const iat = Math.floor(Date.now() / 1000)
  return { aud: ORIGIN, exp: iat + 30, iat, jti: 'forged', tips: [operation.entry.hash], ...more }
}

/** A token whose certificates are nobody's, at a listener with ten relays. */
async function byRogue(world: World): Promise<Headers> {
  const { baggage: honest } = world
  const text = (value: object) => hostile.base64url(JSON.stringify(value))
  const head = text({ ...X5C(hostile.rogueChain('P-521')), typ: 'kest-hop' })
  return baggage(`${honest},kest.hop=${head}.${text(claimsFor(world))}.${'A'.repeat(86)}`)
}

const RELAYS = Array.from({ length: 10 }, (_, i) => `spiffe://${DOMAIN}/relay-${i}`)
const HOP: ListenerOptions = {
  binding: 'hop',
  audiences: [ORIGIN],
  relays: RELAYS,
  clockSkewMs: 60_000,
  // The same comes again and again here.
  replayStore: { setIfAbsent: () => true },
}
const hop = {
  floor: `${HONEST}, with a token of its sender`,
  listener: HOP,
  honest: withToken,
  code: 'ERR_KEST_BINDING',
} as const
const mtls = { listener: { binding: 'mtls' }, code: 'ERR_KEST_BINDING' } as const

const senders: readonly Refusal[] = [
  { ...hop, name: 'no token of the sender', hostile: (w) => baggage(w.baggage) },
  { ...hop, name: 'a token that its sender did not sign', hostile: (w) => withToken(w, claimsFor(w)) },
  {
    ...hop,
    name: 'a token of nested lists',
    hostile: (w) => withToken(w, claimsFor(w, { z: hostile.nested(2000) })),
  },
  {
    ...hop,
    name: 'a token of hundreds of tips',
    hostile: (w) =>
      withToken(
        w,
        claimsFor(w, { tips: Array.from({ length: 100 }, (_, i) => i.toString(16).padStart(64, '0')) }),
      ),
  },
  { ...hop, name: 'a token with certificates of nobody', hostile: byRogue },
  {
    ...mtls,
    name: 'an honest passport from another peer',
    peer: `spiffe://${DOMAIN}/hop9`,
    hostile: (w) => baggage(w.baggage),
  },
  {
    ...mtls,
    name: '60 entries, never signed, from another peer',
    peer: `spiffe://${DOMAIN}/hop9`,
    hostile: (w) => baggage(compressed(forged(known(w), 60, { metadata: hostile.nested(200) }))),
  },
]

const issuer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ISSUER = 'https://id.example.org'
const EDGE: ListenerOptions = {
  origin: 'user_input',
  token: {
    jwks: {
      keys: [{ ...(issuer.publicKey.export({ format: 'jwk' }) as JsonWebKey & { kty: string }), kid: 'k' }],
    },
    issuer: ISSUER,
    audience: ORIGIN,
    // Each is as new as what is refused.
    maxRemembered: 0,
  },
}

function bearer(header: object = {}, claims: object = {}): Promise<string> {
  return new SignJWT({ sub: 'alice', ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k', ...header })
    .setIssuer(ISSUER)
    .setAudience(ORIGIN)
    .setExpirationTime('1h')
    .sign(issuer.privateKey)
}

async function withBearer(...of: Parameters<typeof bearer>): Promise<Headers> {
  return { authorization: `Bearer ${await bearer(...of)}` }
}

const edge = {
  floor: 'an honest request with a bearer token',
  listener: EDGE,
  honest: () => withBearer(),
  code: 'ERR_KEST_TOKEN',
} as const

const tokens: readonly Refusal[] = [
  {
    ...edge,
    name: 'a bearer token that is none',
    hostile: () => ({ authorization: `Bearer ${'a'.repeat(8000)}` }),
  },
  {
    ...edge,
    name: 'a bearer token with another signature',
    hostile: async () => ({ authorization: `Bearer ${(await bearer()).slice(0, -20)}AAAAAAAAAAAAAAAAAAAA` }),
  },
  {
    ...edge,
    name: 'a bearer token that is not valid yet',
    hostile: () => withBearer({}, { nbf: 4_000_000_000 }),
  },
  {
    ...edge,
    name: 'a bearer token with a header of many members',
    hostile: () => withBearer(hostile.manyMembers(320)).then(cut),
  },
  {
    ...edge,
    name: 'a bearer token with a header of nested lists',
    hostile: () => withBearer({ z: hostile.nested(980) }).then(cut),
  },
  { ...edge, name: 'a bearer token by a key that is not there', hostile: () => withBearer({ kid: 'x' }) },
]

/** Its signature is another's. */
function cut({ authorization = '' }: Headers): Headers {
  return { authorization: `${authorization.slice(0, -20)}AAAAAAAAAAAAAAAAAAAA` }
}

/** Past the door: what an edge takes out of a request, and what a policy denies. */
const edgeMembers: TimeFigure = {
  group: 'refusal',
  name: 'an edge takes thousands of members out',
  unit: 'µs',
  floor: 'an honest request at an edge, its entry signed',
  target: TARGET,
  async prepare() {
    const { receiver } = await world()
    const listener = receiver.listener(EDGE)
    const honest = await withBearer()
    const request = (more: Headers) => async () => {
      const state = await listener.receive({ headers: { ...honest, ...more } })
      await receiver.begin({ operation: 'GET /orders/:id', policy: 'allow' }, { state })
    }
    return { floor: request({}), subject: request(baggage(hostile.members('kest.a=1'))) }
  },
}

const policyDenies: TimeFigure = {
  group: 'refusal',
  name: 'a policy denies',
  unit: 'µs',
  floor: `${HONEST}, its entry signed`,
  target: TARGET,
  async prepare() {
    const here = await world()
    const listener = here.receiver.listener()
    const headers = baggage(here.baggage)
    const begin = async (policy: string) => {
      here.forget()
      const state = await listener.receive({ headers: { ...headers } })
      await here.receiver.begin({ operation: 'GET /orders/:id', policy }, { state })
    }
    return {
      floor: () => begin('allow'),
      subject: () =>
        begin('deny').catch((error: unknown) => {
          if (!(error instanceof KestError && error.code === 'ERR_KEST_DENIED')) throw error
        }),
    }
  },
}

/** Whoever has an identity can sign as much as a header holds, and then something wrong. */
const insider: TimeFigure = {
  group: 'refusal',
  name: 'a full header of true entries, the last forged',
  unit: 'µs',
  floor: 'the same passport, whole',
  target: TARGET,
  async prepare() {
    const here = await world()
    const [sender] = here.senders
    let operation = here.operation
    for (let i = 0; i < 10; i++) {
      operation = await sender.begin({ operation: 'step', policy: 'allow' }, { state: operation.state })
    }
    const whole = operation.passport.toJSON()
    const last = whole.at(-1) as string
    const at = last.lastIndexOf('.') + 5
    const wrong = `${last.slice(0, at)}${last[at] === 'A' ? 'B' : 'A'}${last.slice(at + 1)}`
    const listener = here.receiver.listener()
    return {
      floor: received(here, listener, baggage(compressed(whole)), ''),
      subject: refused(
        here,
        listener,
        baggage(compressed([...whole.slice(0, -1), wrong])),
        'ERR_KEST_SIGNATURE',
        '',
      ),
    }
  },
}

/** What it costs to refuse, beside an honest request to the same listener: whoever attacks gains no leverage by being refused. */
export const REFUSALS: readonly TimeFigure[] = [
  ...[...header, ...entries, ...senders, ...tokens].map(atTheDoor),
  insider,
  edgeMembers,
  policyDenies,
]
