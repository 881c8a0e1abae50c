import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import {
  canonicalize,
  createKest,
  createKeySource,
  type Kest,
  type KestEntry,
  type KestOptions,
  type KestState,
  type ReceiptOptions,
} from '../../packages/core/dist/index.js'
import {
  type MockDecisions,
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '../../packages/core/dist/testing/index.js'

const hop1 = new MockIdentityProvider('spiffe://receipts.test/hop1')
const hop2 = new MockIdentityProvider('spiffe://receipts.test/hop2')
const hop3 = new MockIdentityProvider('spiffe://receipts.test/hop3')
const stranger = new MockIdentityProvider('spiffe://receipts.test/stranger')

/** Everybody's keys but the stranger's. */
export const TRUST = createKeySource(
  Object.fromEntries([hop1, hop2, hop3].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

/** A calling service that asks for receipts, and what it exported. */
export function receiptCaller(
  from: ReceiptOptions['from'],
  { mode = 'accept', follow = false }: Pick<ReceiptOptions, 'mode' | 'follow'> = {},
  options: Partial<KestOptions> = {},
) {
  const logger = new RecordingLogger()
  const { tracerProvider, spans } = recordedSpans()
  const kest = createKest({
    identity: hop1,
    engine: new MockPolicyEngine(),
    trust: TRUST,
    logger,
    telemetry: { tracerProvider },
    receipts: { mode, ...(from && { from }), follow },
    ...options,
  })
  const entries = () => entriesIn(spans)
  const receipts = () =>
    spans.flatMap(({ name, attributes }) => (name === 'kest.receipt' ? [attributes] : []))
  return { kest, logger, entries, receipts }
}

/** A called service that records how its operations end, and what it exported. */
export function receiptCallee(decisions: MockDecisions = true) {
  const { tracerProvider, spans } = recordedSpans()
  const kest = createKest({
    identity: hop2,
    engine: new MockPolicyEngine(decisions),
    trust: TRUST,
    logger: new RecordingLogger(),
    telemetry: { tracerProvider },
    outcomes: true,
  })
  return { kest, entries: () => entriesIn(spans) }
}

function entriesIn(spans: readonly RecordedSpan[]): KestEntry[] {
  return spans.flatMap(({ attributes }) => entryOf(String(attributes['kest.signature'] ?? '')) ?? [])
}

interface RecordedSpan {
  readonly name: string
  readonly attributes: Record<string, unknown>
}

/** What ends is kept, in its order. */
function recordedSpans() {
  const spans: RecordedSpan[] = []
  const startSpan = (name: string) => {
    const attributes: Record<string, unknown> = {}
    const span = {
      isRecording: () => true,
      setAttributes: (more: object) => Object.assign(attributes, more),
      setAttribute: (key: string, value: unknown) => Object.assign(attributes, { [key]: value }),
      setStatus: () => span,
      spanContext: () => ({ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: 1 }),
      end: () => spans.push({ name, attributes }),
    }
    return span
  }
  return { spans, tracerProvider: { getTracer: () => ({ startSpan }) } as never }
}

/** As {@link receiptCaller} names it. */
export const CALLEE = hop2.getWorkloadId()
export const OTHER = hop3.getWorkloadId()

const callee = createKest({
  identity: hop2,
  engine: new MockPolicyEngine(),
  trust: TRUST,
  logger: new RecordingLogger(),
})

/** What one request has asked an honest callee for. */
export interface Asked {
  readonly kest: Kest
  readonly state: KestState
  readonly nonce: string
  /** The honest receipt. */
  readonly receipt: string
}

/** Judges a request and begins its operation, as hop2 does; `null` where none was asked for. */
export async function receiptFor(headers: IncomingHttpHeaders, kest: Kest = callee): Promise<Asked | null> {
  const state = await kest.listener().receive({ headers: { ...headers } })
  const operation = await kest.begin({ operation: 'GET /orders', policy: 'test' }, { state })
  const receipt = state.call?.receipt ?? null
  const nonce = operation.entry.entry.labels['kest.call']
  return receipt === null || nonce === undefined ? null : { kest, state, nonce, receipt }
}

/** The payload of an entry; `null` for what is none. */
export function entryOf(jws: string): KestEntry | null {
  const [, payload] = jws.split('.')
  return payload === undefined ? null : JSON.parse(Buffer.from(payload, 'base64url').toString())
}

type Change = (entry: { labels: Record<string, string> } & Record<string, unknown>) => void

/** The honest receipt, changed, and signed again. */
function forged({ receipt }: Asked, change: Change, by = hop2, header: object = headerOf(by)): string {
  const entry = entryOf(receipt) as unknown as Parameters<Change>[0]
  change(entry)
  return signed(header, canonicalize(entry as never), by)
}

/** As its entries have it. */
function headerOf(identity: MockIdentityProvider): object {
  return { ...identity.current().header, typ: 'JWS' }
}

function signed(header: object, payload: string, by: MockIdentityProvider): string {
  const input = `${base64url(canonicalize(header as never))}.${base64url(payload)}`
  const signature = by.current().sign(Buffer.from(input)) as Uint8Array
  return `${input}.${base64url(signature)}`
}

function base64url(bytes: string | Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

const OTHER_NONCE = randomBytes(16).toString('base64url')
const OTHER_HASH = 'ab'.repeat(32)
const HOUR = 3_600_000

const flipped = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)

/** What a callee may answer instead of its receipt: none of it holds. Field values of the header, in their order. */
export const HOSTILE: Readonly<Record<string, (asked: Asked) => readonly string[]>> = {
  'text that is no JWS': () => ['receipt'],
  'an empty field': () => [''],
  'itself twice': ({ receipt }) => [receipt, receipt],
  'itself and another field': ({ receipt }) => [receipt, 'x.y.z'],
  'itself twice in one field': ({ receipt }) => [`${receipt}, ${receipt}`],
  'more than 4 KiB': (asked) => [
    forged(asked, (entry) => Object.assign(entry, { metadata: 'x'.repeat(4096) })),
  ],
  'a payload in another spelling': (asked) => [
    signed(headerOf(hop2), JSON.stringify(entryOf(asked.receipt), null, 1), hop2),
  ],
  'a payload with a member twice': ({ receipt }) => [
    signed(headerOf(hop2), canonicalize(entryOf(receipt) as never).replace('{', '{"added_taints":[],'), hop2),
  ],
  'the algorithm none': (asked) => [forged(asked, () => {}, hop2, { alg: 'none', typ: 'JWS' })],
  'an HMAC with the public key': (asked) => [
    forged(asked, () => {}, hop2, { ...headerOf(hop2), alg: 'HS256' }),
  ],
  'another key in its header': (asked) => [
    forged(asked, () => {}, stranger, { ...headerOf(hop2), jwk: stranger.getPublicJwk() }),
  ],
  'a certificate of its own making': (asked) => [
    forged(asked, () => {}, stranger, { alg: 'EdDSA', typ: 'JWS', x5c: ['AAAA'] }),
  ],
  'the type of a hop token': (asked) => [
    forged(asked, () => {}, hop2, { ...headerOf(hop2), typ: 'kest-hop' }),
  ],
  'the type of a denial': (asked) => [
    forged(asked, () => {}, hop2, { ...headerOf(hop2), typ: 'kest-denial' }),
  ],
  'a schema that is none': (asked) => [forged(asked, (entry) => Object.assign(entry, { trust_score: 1000 }))],
  'a list of itself': ({ receipt }) => [JSON.stringify([receipt])],
  'the receipt of another request': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { 'kest.call': OTHER_NONCE })),
  ],
  'no word of the request': (asked) => [
    forged(asked, ({ labels }) => {
      delete labels['kest.call']
    }),
  ],
  'the request in another case': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { 'kest.call': asked.nonce.toUpperCase() })),
  ],
  'two requests in one label': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { 'kest.call': `${asked.nonce},${OTHER_NONCE}` })),
  ],
  'one by somebody else who has a key': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { principal: OTHER }), hop3),
  ],
  "the callee's name under somebody else's signature": (asked) => [
    forged(asked, () => {}, hop3, headerOf(hop2)),
  ],
  'one by a stranger': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { principal: stranger.getWorkloadId() }), stranger),
  ],
  'one by the caller itself': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { principal: hop1.getWorkloadId() })),
  ],
  "the caller's own entry": ({ state }) => [state.frame.brought.tips[0]?.jws ?? ''],
  'a root': (asked) => [forged(asked, (entry) => Object.assign(entry, { parent_ids: ['0'] }))],
  'another parent': (asked) => [forged(asked, (entry) => Object.assign(entry, { parent_ids: [OTHER_HASH] }))],
  'one parent more': (asked) => [
    forged(asked, (entry) =>
      Object.assign(entry, { parent_ids: [...(entry['parent_ids'] as string[]), OTHER_HASH] }),
    ),
  ],
  'another trace': (asked) => [
    forged(asked, ({ labels }) => Object.assign(labels, { trace_id: 'ef'.repeat(16) })),
  ],
  'no trace': (asked) => [
    forged(asked, ({ labels }) => {
      delete labels['trace_id']
    }),
  ],
  'a time long ago': (asked) => [
    forged(asked, (entry) => Object.assign(entry, { timestamp_ms: Date.now() - HOUR })),
  ],
  'a time to come': (asked) => [
    forged(asked, (entry) => Object.assign(entry, { timestamp_ms: Date.now() + HOUR })),
  ],
  'how an operation has ended': (asked) => [
    forged(asked, (entry) => {
      entry.labels['kest.outcome'] = 'succeeded'
      entry['operation'] = 'GET /orders#end'
    }),
  ],
  'a signature of which a bit is another': ({ receipt }) => [flipped(receipt, receipt.length - 10)],
  'a signature that was cut': ({ receipt }) => [receipt.slice(0, -4)],
  'a payload of which a bit is another': ({ receipt }) => [flipped(receipt, receipt.indexOf('.') + 40)],
}

/** Why each is refused: a part of the words. */
export const WHY: Readonly<Record<string, string>> = {
  'text that is no JWS': 'three',
  'an empty field': 'three',
  'itself twice': '2 of them',
  'itself and another field': '2 of them',
  'itself twice in one field': 'three',
  'more than 4 KiB': 'characters',
  'a payload in another spelling': '8785',
  'a payload with a member twice': '8785',
  'the algorithm none': 'alg',
  'an HMAC with the public key': 'alg',
  'another key in its header': 'signature',
  'a certificate of its own making': 'certificate',
  'the type of a hop token': 'typ',
  'the type of a denial': 'typ',
  'a schema that is none': 'trust_score',
  'a list of itself': 'base64url',
  'the receipt of another request': 'another request',
  'no word of the request': 'another request',
  'the request in another case': 'another request',
  'two requests in one label': 'another request',
  'one by somebody else who has a key': 'not configured',
  "the callee's name under somebody else's signature": 'signature',
  'one by a stranger': 'not configured',
  'one by the caller itself': 'not configured',
  "the caller's own entry": 'another request',
  'a root': 'parents',
  'another parent': 'parents',
  'one parent more': 'parents',
  'another trace': 'trace',
  'no trace': 'trace',
  'a time long ago': 'time',
  'a time to come': 'time',
  'how an operation has ended': 'ended',
  'a signature of which a bit is another': 'signature',
  'a signature that was cut': 'signature',
  'a payload of which a bit is another': '.',
}

/** Receipts that hold, of what a callee may say about itself. */
export const ODD: Readonly<Record<string, (asked: Asked) => string>> = {
  'states another user': (asked) =>
    forged(asked, ({ labels }) =>
      Object.assign(labels, {
        'kest.identity': canonicalize({ agent: null, task: null, user: 'mallory' }),
        'kest.identity_stated': 'true',
      }),
    ),
  'raises its trust': (asked) =>
    forged(asked, (entry) => {
      entry.labels['kest.trust_override'] = '100'
      entry['trust_score'] = 100
    }),
  'removes taints': (asked) =>
    forged(asked, (entry) => {
      entry.labels['kest.sanitizer'] = 'true'
      entry['removed_taints'] = ['pii']
      entry['taints'] = []
    }),
  'adds taints': (asked) =>
    forged(asked, (entry) => Object.assign(entry, { added_taints: ['hostile'], taints: ['hostile', 'pii'] })),
  'has no trust': (asked) => forged(asked, (entry) => Object.assign(entry, { trust_score: 0 })),
  "claims Kest's own taints": (asked) =>
    forged(asked, (entry) =>
      Object.assign(entry, { added_taints: ['kest.unproven'], taints: ['kest.unproven', 'pii'] }),
    ),
}
