import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import {
  createFunctionEngine,
  createKest,
  createKeyIdentity,
  createKeySource,
  type Kest,
  type KestOptions,
  type KestState,
  type KeySource,
  type Operation,
  type OperationDefinition,
} from '@kest/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import type { Work } from './figure.js'
import { BaggageManager, toDer } from './internals.js'

/** Kinds of key that are measured. */
export type KeyKind = 'Ed25519' | 'P-256'

/** A workload with everything in its process, so that nothing but Kest's own work is measured. */
export interface Workload {
  readonly kest: Kest
  readonly trust: KeySource
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** An operation that begins a lineage. */
  readonly root: OperationDefinition
  /** An operation that needs one. */
  readonly child: OperationDefinition
  /** A passport of so many entries, each the parent of the next. */
  chain(length: number): Promise<Operation>
}

const WORKLOAD_ID = 'spiffe://example.org/ns/shop/sa/orders'
const POLICY = 'orders/read'

/** Makes a workload with a key of its own. Options replace those of its instance. */
export function createWorkload(kind: KeyKind = 'Ed25519', options: KestOptions = {}): Workload {
  const { privateKey, publicKey } =
    kind === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const identity = createKeyIdentity(WORKLOAD_ID, privateKey)
  const trust = createKeySource({ [WORKLOAD_ID]: [identity.getPublicJwk()] })
  const engine = createFunctionEngine({ [POLICY]: ({ trust_score }) => trust_score > 0 })
  const kest = createKest({ identity, engine, trust, ...options })
  const root = kest.operation({
    operation: 'GET /orders/:id',
    policy: POLICY,
    origin: 'user_input',
    user: 'alice@example.org',
    addedTaints: ['user_input'],
  })
  const child = kest.operation({ operation: 'orders.load', policy: POLICY })
  return {
    kest,
    trust,
    privateKey,
    publicKey,
    root,
    child,
    async chain(length) {
      let operation = await kest.begin(root, { state: null })
      for (let i = 1; i < length; i++) operation = await kest.begin(child, { state: operation.state })
      return operation
    },
  }
}

/** A provider whose spans record everything and go nowhere. */
export function recording(): KestOptions {
  const processor = {
    onStart: () => {},
    onEnd: () => {},
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  }
  return { telemetry: { tracerProvider: new BasicTracerProvider({ spanProcessors: [processor] }) } }
}

/** A state that a request of its own would have: what happens in it does not show in `state`. */
export function requestState(state: KestState): KestState {
  return { ...state, frame: state.frame.fork() }
}

/** What was signed, and the signature. */
interface SignedBytes {
  readonly input: Buffer
  readonly signature: Buffer
}

function signedBytes(jws: string): SignedBytes {
  const dot = jws.lastIndexOf('.')
  return {
    input: Buffer.from(jws.slice(0, dot), 'latin1'),
    signature: Buffer.from(jws.slice(dot + 1), 'base64url'),
  }
}

/** The raw cost of making the signature of an entry: `crypto.sign` of the same bytes, in the form that takes it least. */
export function rawSign({ privateKey }: Workload, jws: string): Work {
  const { input } = signedBytes(jws)
  if (privateKey.asymmetricKeyType === 'ed25519') return () => sign(null, input, privateKey)
  return () => sign('sha256', input, privateKey)
}

/** The raw cost of checking the signatures of some entries: `crypto.verify` of each, one after the other. */
export function rawVerify({ publicKey }: Workload, entries: readonly string[]): Work {
  const edwards = publicKey.asymmetricKeyType === 'ed25519'
  const digest = edwards ? null : 'sha256'
  const signed = entries.map(signedBytes).map(({ input, signature }) => ({
    input,
    signature: edwards ? signature : toDer(signature),
  }))
  return () => {
    for (const { input, signature } of signed) {
      if (!verify(digest, input, publicKey, signature))
        throw new Error('a signature of the benchmark does not hold')
    }
  }
}

/** The header that a state is sent with, compressed. */
export async function headerOf({ frame }: KestState): Promise<string> {
  const baggage = await new BaggageManager({ encoding: 'compressed' }).write(frame.lineage)
  if (baggage === undefined) throw new Error('the benchmark has no header to send')
  return baggage
}

/** Both, one after the other. */
export function both(first: Work, second: Work): Work {
  return () => {
    first()
    second()
  }
}
