import { expectTypeOf } from 'vitest'
import {
  configure,
  createFunctionEngine,
  createKest,
  createKeySource,
  type IdentityProvider,
  type KeptState,
  type Kest,
  KestError,
  type KestErrorCode,
  type KestState,
  LocalEd25519Provider,
  MemoryCache,
  type Operation,
  type PolicyEngine,
  parsePassport,
  verified,
  verifyPassport,
} from '../src/index.js'

const identity = new LocalEd25519Provider({ workloadId: 'spiffe://types.test/service' })
const engine = createFunctionEngine({ allow: ({ trust_score }) => trust_score > 0 })
const trust = createKeySource({ 'spiffe://types.test/service': [identity.getPublicJwk()] })

// Instances.
expectTypeOf(createKest({ identity, engine, trust, cache: new MemoryCache() })).toEqualTypeOf<Kest>()
expectTypeOf(identity).toExtend<IdentityProvider>()
expectTypeOf(engine).toExtend<PolicyEngine>()
configure({ trust: [trust], limits: { entries: 10 }, propagation: { encoding: 'compressed' } })
// @ts-expect-error an unknown option
configure({ identitiy: identity })
// @ts-expect-error deviations are the deployment's, not the application's (F-PE-11)
configure({ deviations: [] })
// @ts-expect-error an unknown encoding
configure({ propagation: { encoding: 'gzip' } })
// @ts-expect-error an unknown limit
configure({ limits: { size: 1 } })

// Functions: arguments are those of the function, and the result is a promise of what it answers.
const charge = verified(
  { operation: 'charge', policy: 'allow' },
  (order: { id: string }, cents: number) => cents + order.id.length,
)
expectTypeOf(charge).parameters.toEqualTypeOf<[order: { id: string }, cents: number]>()
expectTypeOf(charge).returns.toEqualTypeOf<Promise<number>>()
const later = verified({ operation: 'later', policy: ['a', 'b'] }, async () => 'done')
expectTypeOf(later).returns.toEqualTypeOf<Promise<string>>()
// @ts-expect-error a wrong argument
void charge({ id: 1 }, 2)

// Begun from a state that is given, with the same arguments; a state is needed, or none is meant.
declare const request: KestState
expectTypeOf(charge.with(request)).parameters.toEqualTypeOf<[order: { id: string }, cents: number]>()
expectTypeOf(charge.with(null)).returns.toEqualTypeOf<Promise<number>>()
// @ts-expect-error which one?
charge.with()
// @ts-expect-error it might be the ambient one, which is what is not meant
charge.with(undefined)

// Values may be functions of the arguments, and answer what the option takes.
verified(
  { operation: 'o', policy: 'p', user: (name: string) => name, trustOverride: () => 5 },
  (name: string) => name,
)
verified({ operation: 'o', policy: 'p', user: async (name: string) => name }, (name: string) => name)
// @ts-expect-error a resolver of other arguments
verified({ operation: 'o', policy: 'p', user: (age: number) => String(age) }, (name: string) => name)
// @ts-expect-error a resolver of the wrong result
verified({ operation: 'o', policy: 'p', trustOverride: () => 'high' }, () => {})
// @ts-expect-error no policy
verified({ operation: 'o' }, () => {})
// @ts-expect-error no operation
verified({ policy: 'p' }, () => {})
// @ts-expect-error an empty list of policies
verified({ operation: 'o', policy: [] }, () => {})
// @ts-expect-error an unknown option
verified({ operation: 'o', policy: 'p', polices: 'p' }, () => {})
// @ts-expect-error a label that is no text
verified({ operation: 'o', policy: 'p', labels: { n: 1 } }, () => {})

export class Payments {
  @verified({ operation: 'refund', policy: 'p', user: (order: { customer: string }) => order.customer })
  async refund(order: { customer: string }): Promise<string> {
    return order.customer
  }

  // @ts-expect-error the wrapped method answers a promise, this one says it does not
  @verified({ operation: 'refund', policy: 'p' })
  refundNow(): string {
    return ''
  }
}

// Operations and states.
const kest = createKest({})
expectTypeOf(kest.begin({ operation: 'o', policy: 'p' })).resolves.toEqualTypeOf<Operation>()
expectTypeOf(kest.extract({})).resolves.toEqualTypeOf<KestState>()
expectTypeOf(kest.inject(new Headers(), 'http://hop2')).resolves.toEqualTypeOf<Headers>()
// @ts-expect-error a listener takes no outbound options
kest.listener({ propagateTo: [] })
// @ts-expect-error an outbound side must say to whom (K-SCOPE)
kest.outbound({})
// @ts-expect-error no regular expressions (K-SCOPE)
kest.outbound({ propagateTo: [/hop/] })

// Who sends.
expectTypeOf(kest.listener({ binding: 'hop', audiences: ['https://a.test'] }).binding).toEqualTypeOf<
  'none' | 'mtls' | 'hop'
>()
kest.outbound({ propagateTo: ['https://a.test'], hop: true })
// @ts-expect-error an unknown binding
kest.listener({ binding: 'jwt' })
// @ts-expect-error audiences are a list
kest.listener({ binding: 'hop', audiences: 'https://a.test' })

// Verification takes a passport, not strings.
expectTypeOf(verifyPassport(parsePassport([]), { trust })).resolves.toHaveProperty('trustScore')
// @ts-expect-error raw strings are not a passport
void verifyPassport(['a.b.c'], { trust })
// @ts-expect-error no trust
void verifyPassport(parsePassport([]), {})

// Errors.
expectTypeOf(new KestError('ERR_KEST_DENIED', 'no').code).toEqualTypeOf<KestErrorCode>()
// @ts-expect-error not a code
new KestError('ERR_KEST_WHATEVER', 'no')

// States that end: kept, forked, bound.
expectTypeOf(kest.keep()).toEqualTypeOf<KeptState>()
expectTypeOf(kest.keep(request).run(() => 'x')).toEqualTypeOf<string>()
expectTypeOf(kest.fork(request)).toEqualTypeOf<KestState>()
const bound = kest.bind(async (id: number) => String(id))
expectTypeOf(bound).toEqualTypeOf<(id: number) => Promise<string>>()
// @ts-expect-error a promise runs already
kest.bind(Promise.resolve(1))
// @ts-expect-error milliseconds
createKest({ maxStateMs: '1h' })
createKest({ denials: 'unsigned' })
// @ts-expect-error there is no other way
createKest({ denials: false })
