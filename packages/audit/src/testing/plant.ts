import { generateKeyPairSync } from 'node:crypto'
import { ATTRIBUTE, createKeyIdentity, entryHash, type KestDenial, LABEL, type Signer } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import type { FindingCode } from '../finding.js'
import { decided, OLD_TEXT, TEXT } from './decided.js'
import { type MadeDenial, makeDenial, signedDenialOf } from './make-denial.js'
import { type EntryClaim, type MadeEntry, makeEntry, nextTraceId } from './make-entry.js'
import { denialOf, type OtlpSpan, receiptOf, spanOf, withoutEntry } from './make-span.js'

/** A span, and the service whose file it is in. */
export interface ServiceSpan {
  readonly service: string
  readonly span: OtlpSpan
}

/** One request as it was exported, and what an audit must find. */
export interface PlantedTrace {
  readonly traceId: string
  readonly spans: readonly ServiceSpan[]
  /** Findings by trace, where there are any. */
  readonly expected: ReadonlyMap<string, readonly FindingCode[]>
  /** Findings that are of no trace. */
  readonly general: readonly FindingCode[]
}

/** The workloads of all planted traces: their keys, and the numbers that their processes give. */
export class Workloads {
  readonly gateway: Workload
  readonly orders: Workload
  readonly payments: Workload
  /** Nobody knows its key. */
  readonly stranger: Workload

  constructor() {
    const [gateway, payments, stranger] = ['gateway', 'payments', 'stranger'].map(
      (name) => new MockIdentityProvider(name),
    )
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.gateway = new Workload('gateway', gateway as MockIdentityProvider, 1)
    this.orders = new Workload('orders', createKeyIdentity('spiffe://kest.test/orders', privateKey), 2)
    this.payments = new Workload('payments', payments as MockIdentityProvider, 3)
    this.stranger = new Workload('stranger', stranger as MockIdentityProvider, 4)
  }

  /** As `--keys` takes them. */
  keys(): Record<string, object[]> {
    return Object.fromEntries([this.gateway, this.orders, this.payments].map((one) => one.key))
  }
}

type Identity = Pick<MockIdentityProvider, 'current' | 'getPublicJwk' | 'getWorkloadId'>

class Workload {
  readonly service: string
  readonly signer: Signer
  readonly key: readonly [principal: string, jwks: object[]]
  readonly #process: string
  readonly #denying: string
  #last = 0
  #lastDenial = 0

  constructor(service: string, identity: Identity, process: number) {
    this.service = service
    this.signer = identity.current()
    this.key = [identity.getWorkloadId(), [identity.getPublicJwk()]]
    this.#process = processName(process)
    this.#denying = processName(100 + process)
  }

  /** The next entry of its process. */
  make(parents: readonly MadeEntry[], claim: EntryClaim = {}): MadeEntry {
    const labels = { [LABEL.seq]: `${this.#process}:${++this.#last}`, ...claim.labels }
    return makeEntry(this.signer, parents, { ...claim, labels })
  }

  /** The next signed denial of its process. */
  deny(parents: readonly MadeEntry[], claim: Partial<KestDenial> = {}): MadeDenial {
    return makeDenial(this.signer, parents, { n: `${this.#denying}:${++this.#lastDenial}`, ...claim })
  }

  denialSpan(made: MadeDenial): ServiceSpan {
    return { service: this.service, span: signedDenialOf(made) }
  }

  span(made: MadeEntry, lineage?: readonly MadeEntry[]): ServiceSpan {
    return { service: this.service, span: spanOf(made, lineage) }
  }

  /** The number that the process gave last. */
  get lastLabel(): string {
    return `${this.#process}:${this.#last}`
  }
}

function processName(n: number): string {
  return `3f2b8c1e-0000-4000-8000-${String(n).padStart(12, '0')}`
}

/** Three hops, of which each span has its passport. `tail` is what the third service exported. */
function threeHops(
  { gateway, orders, payments }: Workloads,
  claims: { readonly first?: EntryClaim; readonly second?: EntryClaim; readonly third?: EntryClaim } = {},
): { made: [MadeEntry, MadeEntry, MadeEntry]; spans: [ServiceSpan, ServiceSpan, ServiceSpan] } {
  const first = gateway.make([], claims.first)
  const second = orders.make([first], claims.second)
  const third = payments.make([second], claims.third)
  return {
    made: [first, second, third],
    spans: [
      gateway.span(first, [first]),
      orders.span(second, [first, second]),
      payments.span(third, [first, second, third]),
    ],
  }
}

/** A trace in which nothing is wrong. */
export function soundTrace(workloads: Workloads): PlantedTrace {
  const { made, spans } = threeHops(workloads)
  return planted(made[0], spans)
}

function planted(
  first: MadeEntry,
  spans: readonly ServiceSpan[],
  codes: readonly FindingCode[] = [],
  general: readonly FindingCode[] = [],
): PlantedTrace {
  const traceId = first.entry.labels[LABEL.traceId] as string
  return { traceId, spans, expected: new Map(codes.length === 0 ? [] : [[traceId, codes]]), general }
}

type Defect = (workloads: Workloads, n: number) => PlantedTrace

/** One defect each, in otherwise sound traces. */
export const DEFECTS: Readonly<Record<string, Defect>> = {
  'an entry that only its caller has': (workloads) => {
    const { made, spans } = threeHops(workloads)
    forgetPassports(spans)
    const receipt = { service: 'orders', span: receiptOf(made[2]) }
    return planted(made[0], [spans[0], spans[1], receipt], ['receipt-without-span'], ['sequence-gap'])
  },
  'a receipt by nobody': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const forged = { ...made[2], jws: `${made[2].jws.slice(0, -8)}AAAAAAAA` }
    return planted(made[0], [...spans, { service: 'orders', span: receiptOf(forged) }], ['receipt-broken'])
  },
  'an end of nothing': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const [first, , last] = made
    const end = workloads.payments.make([last], {
      operation: `${first.entry.operation}#end`,
      labels: { [LABEL.outcome]: 'succeeded' },
    })
    return planted(first, [...spans, workloads.payments.span(end)], ['outcome-differs'])
  },
  'a byte changed': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const [header, payload, signature] = made[1].jws.split('.') as [string, string, string]
    const text = Buffer.from(payload, 'base64url').toString().replace('"trust_score":4', '"trust_score":9')
    setSignature(spans[1], `${header}.${Buffer.from(text).toString('base64url')}.${signature}`)
    forgetPassports(spans)
    // What the third builds on never came: what came claims to be it.
    return planted(made[0], spans, ['broken', 'incomplete'], ['sequence-gap'])
  },
  'a signature changed': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const at = made[2].jws.lastIndexOf('.') + 1
    const other = made[2].jws[at] === 'A' ? 'B' : 'A'
    setSignature(spans[2], `${made[2].jws.slice(0, at)}${other}${made[2].jws.slice(at + 1)}`)
    forgetPassports(spans)
    return planted(made[0], spans, ['broken'], ['sequence-gap'])
  },
  'a principal unknown': (workloads) => {
    const { gateway, orders, stranger } = workloads
    const first = gateway.make([])
    const second = orders.make([first])
    const third = makeEntry(stranger.signer, [second])
    return planted(
      first,
      [gateway.span(first), orders.span(second), stranger.span(third)],
      ['principal-unknown'],
    )
  },
  'a parent never exported': (workloads) => {
    const { made, spans } = threeHops(workloads)
    forgetPassports(spans)
    return planted(made[0], [spans[0], spans[2]], ['incomplete'], ['sequence-gap'])
  },
  'a parent only in a passport': (workloads) => {
    const { made, spans } = threeHops(workloads)
    return planted(made[0], [spans[0], spans[2]], ['incomplete'], ['sequence-gap'])
  },
  'a tip cut': (workloads) => {
    const { made, spans } = threeHops(workloads)
    delete spans[2].span.attributes[ATTRIBUTE.signature]
    return planted(made[0], spans, ['cut'], ['sequence-gap'])
  },
  'a span lost that nothing links to': (workloads) => {
    const { made, spans } = threeHops(workloads)
    return planted(made[0], spans.slice(0, 2), [], ['sequence-gap'])
  },
  'a fork': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const again = workloads.payments.make([made[1]])
    return planted(made[0], [...spans, workloads.payments.span(again)], ['forked'])
  },
  'two roots': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const other = workloads.gateway.make([], {
      labels: { [LABEL.traceId]: made[0].entry.labels[LABEL.traceId] },
    })
    return planted(made[0], [...spans, workloads.gateway.span(other)], ['several-roots'])
  },
  'a span exported twice': (workloads) => {
    const { made, spans } = threeHops(workloads)
    return planted(made[0], [...spans, spans[1]], ['duplicated'])
  },
  'a twin': (workloads) => {
    const { made, spans } = threeHops(workloads, {
      second: { runtime: { name: 'kest-python', version: '0.3.0' } },
    })
    const twin = twinOf(made[1])
    return planted(
      made[0],
      [...spans, { service: 'orders', span: spanOf({ ...made[1], ...twin }) }],
      ['duplicated'],
    )
  },
  'an attribute changed': (workloads, n) => {
    const { made, spans } = threeHops(workloads)
    const lies: readonly (readonly [string, unknown])[] = [
      [ATTRIBUTE.trustScore, 100],
      [ATTRIBUTE.workloadId, 'spiffe://kest.test/admin'],
      [ATTRIBUTE.parentHash, '0'],
      [ATTRIBUTE.entryId, '__proto__'],
      [ATTRIBUTE.decision, 'deny'],
    ]
    const [name, value] = lies[n % lies.length] as (typeof lies)[number]
    spans[1].span.attributes[name] = value
    return planted(made[0], spans, ['attribute-differs'])
  },
  'a passport changed': (workloads) => {
    const { made, spans } = threeHops(workloads)
    spans[2].span.attributes[ATTRIBUTE.passport] = JSON.stringify([made[0].jws, made[2].jws])
    return planted(made[0], spans, ['passport-differs'])
  },
  'a time to come': (workloads) => {
    const { made, spans } = threeHops(workloads, { third: { timestamp_ms: Date.now() + 86_400_000 } })
    return planted(made[0], spans, ['time'])
  },
  'trust raised': (workloads) => {
    const { made, spans } = threeHops(workloads, { third: { trust_score: 90 } })
    return planted(made[0], spans, ['trust-raised'])
  },
  'a taint dropped': (workloads) => {
    const { made, spans } = threeHops(workloads, {
      second: { added_taints: ['pii'], taints: ['pii'] },
      third: { taints: [] },
    })
    return planted(made[0], spans, ['taint-dropped'])
  },
  'trust overridden': (workloads) => {
    const labels = { [LABEL.trustOverride]: '90' }
    const { made, spans } = threeHops(workloads, { third: { trust_score: 90, labels } })
    return planted(made[0], spans, ['trust-overridden'])
  },
  'a taint removed': (workloads) => {
    const { made, spans } = threeHops(workloads, {
      second: { added_taints: ['pii'], taints: ['pii'] },
      third: { removed_taints: ['pii'], taints: [], labels: { [LABEL.sanitizer]: 'true' } },
    })
    return planted(made[0], spans, ['taint-removed'])
  },
  'another trace': (workloads) => {
    const other = nextTraceId()
    const { made, spans } = threeHops(workloads, { third: { labels: { [LABEL.traceId]: other } } })
    return { ...planted(made[0], spans), expected: new Map([[other, ['trace-differs']]]) }
  },
  'identities in conflict': (workloads) => {
    const { gateway, orders, payments } = workloads
    const first = gateway.make([])
    const [one, other] = [orders.make([first], acts('alice')), orders.make([first], acts('bob'))]
    const joined = payments.make([one, other])
    const spans = [gateway.span(first), orders.span(one), orders.span(other), payments.span(joined)]
    return planted(first, spans, ['identity-conflict'])
  },
  'another signed in': (workloads) => {
    const { gateway, payments } = workloads
    const first = gateway.make([], acts('alice'))
    const second = payments.make([first], acts('admin'))
    return planted(first, [gateway.span(first), payments.span(second)], ['identity-switched'])
  },
  'a message written twice': (workloads) => handledTwice(workloads, ['0:17', '0:99'], 'message-repeated'),
  'a message delivered twice': (workloads) =>
    handledTwice(workloads, ['0:17', '0:17'], 'message-redelivered'),
  'a root of somebody else': (workloads) => {
    const { orders, payments } = workloads
    const first = orders.make([])
    const second = payments.make([first])
    return planted(first, [orders.span(first), payments.span(second)], ['unlisted-root'])
  },
  'an entry_id twice': (workloads) => {
    const { gateway, orders, payments } = workloads
    const first = gateway.make([])
    const second = orders.make([first])
    const third = payments.make([second], { entry_id: second.entry.entry_id })
    return planted(
      first,
      [gateway.span(first), orders.span(second), payments.span(third)],
      ['entry-id-repeated'],
    )
  },
  'an entry_id of another trace': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const other = workloads.gateway.make([], { entry_id: made[0].entry.entry_id })
    return planted(made[0], [...spans, workloads.gateway.span(other)], [], ['entry-id-repeated'])
  },
  'a number twice': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const again = workloads.payments.make([made[2]])
    const label = { [LABEL.seq]: workloads.payments.lastLabel }
    const repeated = makeEntry(workloads.payments.signer, [again], { labels: label })
    const { payments } = workloads
    return planted(
      made[0],
      [...spans, payments.span(again), payments.span(repeated)],
      [],
      ['sequence-repeated'],
    )
  },
  'numbers that begin late': (workloads, n) => {
    const label = { [LABEL.seq]: `${processName(10_000 + n)}:7` }
    const made = makeEntry(workloads.payments.signer, [], { labels: label })
    return planted(made, [workloads.payments.span(made)], [], ['sequence-start'])
  },
  'numbers that begin late, when the service was already there': (workloads, n) => {
    const made = makeEntry(workloads.payments.signer, [], {
      labels: { [LABEL.seq]: `${processName(30_000 + n)}:3` },
      timestamp_ms: Date.UTC(2026, 0, 31, 15),
    })
    return planted(made, [workloads.payments.span(made)], [], ['sequence-late'])
  },
  'numbers of two principals': ({ gateway, orders }, n) => {
    const first = makeEntry(gateway.signer, [], { labels: { [LABEL.seq]: `${processName(20_000 + n)}:1` } })
    const second = makeEntry(orders.signer, [first], {
      labels: { [LABEL.seq]: `${processName(20_000 + n)}:2` },
    })
    return planted(first, [gateway.span(first), orders.span(second)], [], ['sequence-shared'])
  },
  'a policy that allows': ({ gateway }) => decidedBy(gateway, 'allows', TEXT),
  'a policy that denies': ({ gateway }) => decidedBy(gateway, 'denies', TEXT, ['policy-mismatch']),
  'a policy that reads the clock': ({ gateway }) =>
    decidedBy(gateway, 'reads the clock', TEXT, ['policy-unverifiable']),
  'a text that is not in force': ({ gateway }) =>
    decidedBy(gateway, 'allows', OLD_TEXT, ['revision-not-in-force', 'policy-unverifiable']),
  'a name of two texts': ({ gateway }, n) =>
    decidedBy(gateway, 'allows', `test:name:v${n}`, [], ['revision-repeated']),
  'no signature': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = withoutEntry(spanOf(makeEntry(workloads.payments.signer, [made[2]])))
    return planted(made[0], [...spans, { service: 'payments', span }], ['unsigned'])
  },
  'a signature that is none': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = spanOf(made[2])
    span.attributes = { [ATTRIBUTE.signature]: '<script>alert(1)</script>' }
    return planted(made[0], [...spans, { service: 'payments', span }], ['malformed'])
  },
  'a denial': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = denialOf(makeEntry(workloads.payments.signer, [made[2]]))
    return planted(made[0], [...spans, { service: 'payments', span }])
  },
  'a signed denial': (workloads) => withDenial(workloads, (parents) => workloads.payments.deny(parents)),
  'a signed denial, exported twice': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = workloads.payments.denialSpan(workloads.payments.deny([made[2]]))
    return planted(made[0], [...spans, span, span])
  },
  'a signed denial that was lost': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const [first, , third] = [1, 2, 3].map(() => workloads.gateway.deny([made[0]])) as [
      MadeDenial,
      MadeDenial,
      MadeDenial,
    ]
    const kept = [first, third].map((one) => workloads.gateway.denialSpan(one))
    return planted(made[0], [...spans, ...kept], [], ['sequence-gap'])
  },
  'a signed denial under a number that was given': (workloads, n) => {
    const { made, spans } = threeHops(workloads)
    const number = { n: `${processName(40_000 + n)}:1` }
    const { payments } = workloads
    const two = [1, 2].map(() => payments.denialSpan(makeDenial(payments.signer, [made[2]], number)))
    return planted(made[0], [...spans, ...two], [], ['sequence-repeated'])
  },
  'signed denials of two principals in one process': (workloads, n) => {
    const { made, spans } = threeHops(workloads)
    const two = [workloads.gateway, workloads.orders].map((one, i) => {
      const number = { n: `${processName(50_000 + n)}:${i + 1}` }
      return one.denialSpan(makeDenial(one.signer, [made[0]], number))
    })
    return planted(made[0], [...spans, ...two], [], ['sequence-shared'])
  },
  'a signed denial by somebody else': (workloads) =>
    withDenial(
      workloads,
      (parents) => makeDenial(workloads.stranger.signer, parents, { principal: workloads.payments.key[0] }),
      ['denial-broken'],
    ),
  'a denial that is an entry': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = denialOf(makeEntry(workloads.payments.signer, [made[2]]))
    span.attributes[ATTRIBUTE.denial] = made[2].jws
    return planted(made[0], [...spans, { service: 'payments', span }], ['denial-broken'])
  },
  'an entry that is a denial': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const span = spanOf(made[2])
    span.attributes = { [ATTRIBUTE.signature]: makeDenial(workloads.orders.signer, [made[1]]).jws }
    return planted(made[0], [...spans, { service: 'payments', span }], ['malformed'])
  },
  'a signed denial whose span says something else': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const denied = workloads.payments.denialSpan(workloads.payments.deny([made[2]]))
    denied.span.attributes[ATTRIBUTE.errorType] = 'ERR_KEST_ENGINE'
    return planted(made[0], [...spans, denied], ['attribute-differs'])
  },
  'a signed denial that builds on what was never exported': (workloads) => {
    const { made, spans } = threeHops(workloads)
    const lost = makeEntry(workloads.payments.signer, [made[2]])
    return planted(
      made[0],
      [...spans, workloads.payments.denialSpan(workloads.payments.deny([lost]))],
      ['cut'],
    )
  },
}

function withDenial(
  workloads: Workloads,
  make: (parents: readonly MadeEntry[]) => MadeDenial,
  codes: readonly FindingCode[] = [],
): PlantedTrace {
  const { made, spans } = threeHops(workloads)
  return planted(made[0], [...spans, workloads.payments.denialSpan(make([made[2]]))], codes)
}

function handledTwice(
  { gateway, orders }: Workloads,
  places: readonly [string, string],
  code: FindingCode,
): PlantedTrace {
  const first = gateway.make([])
  const [one, other] = places.map((place) =>
    orders.make([first], { labels: { [LABEL.message]: 'a-message', [LABEL.place]: place } }),
  ) as [MadeEntry, MadeEntry]
  return planted(first, [gateway.span(first), orders.span(one), orders.span(other)], [code, 'forked'])
}

function decidedBy(
  workload: Workload,
  policy: string,
  revision: string,
  codes: readonly FindingCode[] = [],
  general: readonly FindingCode[] = [],
): PlantedTrace {
  const made = workload.make([], decided(workload.key[0], policy, revision))
  return planted(made, [workload.span(made)], codes, general)
}

function setSignature({ span }: ServiceSpan, jws: string): void {
  span.attributes[ATTRIBUTE.signature] = jws
}

function forgetPassports(spans: readonly ServiceSpan[]): void {
  for (const { span } of spans) delete span.attributes[ATTRIBUTE.passport]
}

/** Order of P-256 (SEC 2 §2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The same entry with the other of its two valid signatures (K-LOWS). */
export function twinOf({ jws }: MadeEntry): Pick<MadeEntry, 'jws' | 'hash'> {
  const [header, payload, signature] = jws.split('.') as [string, string, string]
  const bytes = Buffer.from(signature, 'base64url')
  const s = ORDER - BigInt(`0x${bytes.toString('hex', 32)}`)
  bytes.write(s.toString(16).padStart(64, '0'), 32, 'hex')
  return made(`${header}.${payload}.${bytes.toString('base64url')}`)
}

function made(jws: string): Pick<MadeEntry, 'jws' | 'hash'> {
  return { jws, hash: entryHash(jws) }
}

/** States who acts. */
function acts(user: string): EntryClaim {
  return {
    labels: {
      [LABEL.identity]: `{"agent":null,"task":null,"user":"${user}"}`,
      [LABEL.identityStated]: 'true',
    },
  }
}
