import { assertOptions } from '../assert-options.js'
import { Frame } from '../context/frame.js'
import { assertLive, Lifetime } from '../context/lifetime.js'
import { currentState, type KestState } from '../context/state.js'
import { LABEL } from '../entry/entry.js'
import type { ObservedRefusal } from '../entry/observed-label.js'
import { KestConfigError, KestError } from '../errors.js'
import { currentSigner, signingLate } from '../identity/current-signer.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { inTime } from '../in-time.js'
import { type SignedEntry, signEntry } from '../jws/compact.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Lineage } from '../passport/lineage.js'
import type { VerifiedEntry } from '../passport/verified.js'
import { ask, type Question } from '../policy/ask.js'
import type { PolicyEngine, PolicyTier } from '../policy/engine.js'
import { AskedRevisions } from '../policy/revision.js'
import type { PolicyPlan } from '../policy/tiers.js'
import { type Verdicts, Watch, type WatchOptions } from '../policy/watch.js'
import type { Names } from '../pseudonyms/names.js'
import { type EffectiveValues, effectiveOf } from '../trust/effective.js'
import type { EffectiveRules } from '../trust/effective-rules.js'
import { UNPROVEN_ORIGIN } from '../trust/reserved.js'
import { trustDomainOf } from '../trust/trust-domain.js'
import { Attempt } from './attempt.js'
import { labelDecision } from './decision-labels.js'
import { draftEntry, type EntryDraft } from './draft.js'
import { identityOf } from './identity-of.js'
import { decidedIn, denialsIn, observedText, withObserved } from './observed.js'
import { Operation } from './operation.js'
import type { OperationDefinition } from './operation-definition.js'
import type { OperationValues } from './operation-options.js'
import { policyContexts } from './policy-context.js'
import { randomTraceId } from './random.js'
import type { HookRuntime } from './runtime.js'

/** What a caller of {@link begin} states about its surroundings. */
export interface BeginOptions {
  /** The state to start from instead of the ambient one: adapters give the request's. */
  readonly state?: KestState | null
  /** Aborts when whoever asked has left; default: the state's. */
  readonly signal?: AbortSignal
  /** Whether whoever asked has left, or has an answer already: asked beside the signal, which may come later. */
  readonly isGone?: () => boolean
  /** What the definition's resolvers are given. */
  readonly args?: readonly unknown[]
}

const NONE: readonly ObservedRefusal[] = Object.freeze([])
const NO_RECEIPTS: readonly never[] = Object.freeze([])
/** Receipts that one entry names beside all that it says; what is left waits for the next, or its outcome. */
const MAX_RECEIPTS = 64
const NO_VERDICTS: Verdicts = Object.freeze([])

const OPTIONS: ReadonlySet<string> = new Set<keyof BeginOptions>(['state', 'signal', 'isGone', 'args'])

/**
 * The lifecycle of SPEC §4: authorizes an operation and signs its entry. What comes back has not run yet.
 *
 * The order is the argument (K-ORDER): no entry is signed before the last policy allowed and there is room for its
 * record, and nothing runs before the entry is signed and its span has ended. What is refused has no entry; that it was
 * may be signed, as a denial (K-DENIAL).
 */
export async function begin(
  runtime: HookRuntime,
  definition: OperationDefinition,
  options: BeginOptions = {},
): Promise<Operation> {
  assertOptions('begin', options, OPTIONS)
  // Before the first await: the frame is that of the moment of the call (K-FLOW).
  const state = options.state === undefined ? currentState() : options.state
  const frame = (state?.frame ?? new Frame()).fork()
  const { lineage } = frame
  const signal = options.signal ?? state?.signal ?? null
  const assertState = (): void => {
    if (state !== null) assertLive(state, `operation "${definition.operation}"`)
  }
  const unproven = state?.origin === UNPROVEN_ORIGIN
  const throwIfGone = (): void => {
    assertState()
    if (signal?.aborted || options.isGone?.())
      throw new KestError('ERR_KEST_ABORTED', 'the caller left before the operation began')
  }
  const attempt = new Attempt(runtime, definition, state?.request)
  attempt.knows(state?.names)
  const promised = state?.call?.promise()
  const receipts = state?.frame.takeReceipts(MAX_RECEIPTS) ?? NO_RECEIPTS
  const followed = state?.frame.followed ?? NO_RECEIPTS
  try {
    assertState()
    definition.assertOrigin(runtime.origins)
    const resolved = definition.resolve(options.args ?? [])
    const values = isPromise(resolved)
      ? await inTime(resolved, { what: 'its values were known', signal })
      : resolved
    const current = currentSigner(providerOf(runtime, definition), runtime.identityTimeoutMs, signal)
    const signer = isPromise(current) ? await current : current
    attempt.actsAs(signer, lineage)
    const plan = runtime.plannerOf(definition).plan(signer.workloadId, runtime.clock.now())
    const engines = enginesOf(runtime, definition, plan)
    const origin = originOf(lineage, values, state, definition)
    assertRoom(lineage, runtime)
    const naming = identityOf(values, state, runtime.pseudonyms, signal)
    const { names, ...acting } = isPromise(naming) ? await naming : naming
    attempt.knows(names)

    const span = attempt.start()
    const spanContext = span.context()
    const draft = draftEntry(runtime, definition, {
      values,
      lineage,
      origin,
      unproven,
      principal: signer.workloadId,
      subject: signer.subject,
      ...acting,
      txn: state?.txn,
      message: state?.message,
      call: promised?.nonce,
      receipts,
      followed,
      policies: plan.record,
      traceId: frame.traceId(() => spanContext?.traceId ?? randomTraceId()),
      span: spanContext,
    })
    attempt.drafted(draft)
    const rules = rulesOf(runtime, signer)
    const effective = effectiveOf(draft, lineage.tips, rules)
    if (lineage.length === 0 && !unproven) assertMayBegin(runtime, effective, signer)
    const contextOf = policyContexts({
      entry: draft,
      effective,
      lineage,
      names,
      source: origin ?? 'internal',
      plan,
    })

    // The caller waits for all tiers together.
    const questionOf = (tier: PolicyTier, policies: readonly string[]): Question => ({
      engine: engines(tier),
      request: Object.freeze({ entryId: draft.entry_id, policies, context: contextOf(tier, policies) }),
    })
    const questions = plan.tiers.map(({ tier, policies }) => questionOf(tier, policies))
    attempt.asks(questions)
    const revisions = new AskedRevisions()
    const asked = ask(questions, {
      revisions,
      timeoutMs: runtime.policyTimeoutMs,
      signal,
      throwIfGone,
      onAllowed: ({ policies, context }, reason) => {
        attempt.allowed(context.environment.policy_tier, policies, reason)
      },
    })
    const observing = plan.observed.map(({ tier, policies }) => questionOf(tier, policies))
    const watching = watch(observing, asked, { timeoutMs: runtime.policyTimeoutMs, signal, revisions })
    const verdicts = isPromise(watching) ? await watching : watching
    labelDecision(
      draft,
      observing.length === 0 ? questions : [...questions, ...observing],
      revisions,
      runtime.pseudonyms === null,
    )
    const denials = denialsIn(plan.observed, verdicts)
    const lineageObserved = state?.observed ?? NONE
    const isObserved = denials.length > 0 || lineageObserved.length > 0
    const recordOf = (room?: number): EntryDraft =>
      isObserved ? withObserved(draft, lineage, lineageObserved, denials, room) : draft
    const record = recordOf()
    const worth = isObserved ? effectiveOf(record, lineage.tips, rules) : effective
    attempt.drafted(record)
    const reserving = runtime.auditTrail?.reserve(signal) ?? null
    const slot = isPromise(reserving) ? await reserving : reserving
    attempt.reserved(slot)
    throwIfGone()

    const signWith = (one: EntryDraft) => sign(runtime, one, signer, worth, { signal, throwIfGone })
    const signing =
      denials.length > 0
        ? whatFits(
            () => signWith(record),
            () => signWith(recordOf(0)),
          )
        : signWith(record)
    const signed = isPromise(signing) ? await signing : signing
    frame.lineage = lineage.append(signed)
    if (followed.length > 0) frame.follows(followed)
    const onRecord = span.allow(signed, frame.lineage, {
      reason: attempt.reason,
      observed: isObserved ? observedText(lineageObserved, denials) : undefined,
    })
    runtime.metrics.entrySigned()
    // Who was asked for room refuses it below.
    if (!onRecord && slot === null) attempt.unrecorded()
    const recorded = slot?.recorded(spanContext?.spanId)
    if (isPromise(recorded)) {
      await recorded
      throwIfGone()
    }
    attempt.begun(onRecord, decidedIn(observing, verdicts))
    attempt.observed(denials)
    promised?.signed(signed)
    const { outcomes } = runtime
    const begun = { entry: signed, frame, provider: providerOf(runtime, definition) }
    return new Operation(
      signed,
      stateOf(runtime, frame, worth, { state, names, signal }),
      outcomes === null
        ? undefined
        : (outcome, contentHash) => outcomes.record(runtime, begun, outcome, contentHash),
    )
  } catch (error) {
    promised?.giveBack()
    if (receipts.length > 0) state?.frame.receipts.giveBack(receipts)
    const signing = attempt.sign(error)
    if (isPromise(signing)) await signing
    throw attempt.denied(error)
  }
}

/**
 * Step 9, of what is only observed: asked beside what is enforced, with time of its own, and not looked at where that refuses
 * (K-OBSERVE).
 */
function watch(
  questions: readonly Question[],
  enforced: MaybePromise<void>,
  options: WatchOptions,
): MaybePromise<Verdicts> {
  if (questions.length === 0) return isPromise(enforced) ? enforced.then(() => NO_VERDICTS) : NO_VERDICTS
  const watching = new Watch(questions, options)
  if (!isPromise(enforced)) return watching.verdicts
  return enforced.then(
    () => watching.verdicts,
    (error: unknown) => {
      watching.abandon(error)
      throw error
    },
  )
}

/** Step 1: who signs (K-SIGNER). */
function providerOf(runtime: HookRuntime, definition: OperationDefinition): IdentityProvider {
  const provider = definition.identity ?? runtime.identity
  if (provider !== null) return provider
  throw new KestConfigError('no identity is configured: configure({ identity }) or pass one')
}

/** Step 2: which engine decides a tier. A call may bring its own, for the function tier only (K-ENGINE). */
function enginesOf(
  runtime: HookRuntime,
  definition: OperationDefinition,
  plan: PolicyPlan,
): (tier: PolicyTier) => PolicyEngine {
  const engineOf = (tier: PolicyTier): PolicyEngine => {
    const engine = (tier === 'function' ? definition.engine : undefined) ?? runtime.engine
    if (engine === null)
      throw new KestConfigError('no policy engine is configured: configure({ engine }) or pass one')
    return engine
  }
  for (const { tier } of [...plan.tiers, ...plan.observed]) engineOf(tier)
  return engineOf
}

/** Step 3: lineage, or a stated origin (K-ROOT). */
function originOf(
  lineage: Lineage,
  values: OperationValues,
  state: KestState | null,
  definition: OperationDefinition,
): string | undefined {
  if (lineage.length > 0) return values.origin
  // What came without lineage is not what an operation says that it is (K-OPTIONAL).
  if (state?.origin === UNPROVEN_ORIGIN) return UNPROVEN_ORIGIN
  const origin = values.origin ?? state?.origin ?? undefined
  if (origin !== undefined) return origin
  throw new KestError(
    'ERR_KEST_LINEAGE_MISSING',
    `operation "${definition.operation}": no lineage here, and no origin that would make it a root (K-ROOT)`,
  )
}

/** K-ROOTS: a process judges what it begins as it judges what others began. */
function assertMayBegin({ roots }: HookRuntime, { findings }: EffectiveValues, { workloadId }: Signer): void {
  roots.makes(workloadId)
  if (roots.current.rootsPolicy !== 'refuse') return
  const finding = findings.find(({ code }) => code === 'ERR_KEST_ROOT')
  if (finding !== undefined) throw new KestError(finding.code, `${finding.message} (K-ROOTS)`)
}

function assertRoom(lineage: Lineage, runtime: HookRuntime): void {
  if (lineage.length < runtime.limits.entries) return
  throw new KestError('ERR_KEST_LIMIT', `the passport is full: ${lineage.length} entries (K-LIMIT)`)
}

/** Whose word counts for more trust or fewer taints, seen from this workload (K-EFF). */
function rulesOf({ raisers, roots }: HookRuntime, { workloadId: own }: Signer): EffectiveRules {
  return {
    own: true,
    roots: roots.current.roots ?? null,
    mayBeginIdentity: () => true,
    mayStateIdentity: () => true,
    mayRaise: (principal) =>
      raisers === null ? principal === own || sameDomain(principal, own) : raisers.has(principal),
    ceiling: () => undefined,
  }
}

function sameDomain(principal: string, other: string): boolean {
  const domain = trustDomainOf(principal)
  return domain !== undefined && domain === trustDomainOf(other)
}

/**
 * Steps 8 and 11: after the last allow, and only then, the key is used. A remote signature takes its time: where nobody
 * waits for the operation any more it will not run, so its entry is dropped before anybody has seen it, and its number
 * goes to the next.
 */
function sign(
  runtime: HookRuntime,
  draft: EntryDraft,
  signer: Signer,
  effective: EffectiveValues,
  { signal, throwIfGone }: { readonly signal: AbortSignal | null; throwIfGone(): void },
): MaybePromise<VerifiedEntry> {
  const number = runtime.sequence.take(signer.workloadId)
  draft.labels[LABEL.seq] = number.label
  const own = ({ jws, hash }: SignedEntry): VerifiedEntry => ({
    jws,
    hash,
    entry: draft,
    principal: signer.workloadId,
    proven: true,
    alg: signer.header.alg,
    keySource: 'self',
    trustScore: effective.trustScore,
    taints: effective.taints,
    identity: effective.identity,
    identityBy: effective.identityBy,
    claimedIdentity: effective.claimedIdentity,
    plain: effective.plain,
  })
  const unsigned = (error: unknown): never => {
    number.giveBack()
    throw error
  }
  try {
    const signing = signEntry(draft, signer, runtime.limits)
    if (!isPromise(signing)) return own(signing)
    const patience = {
      ms: runtime.identityTimeoutMs,
      what: 'its entry was signed',
      signal,
      late: signingLate,
    }
    return inTime(signing, patience)
      .then((signed) => {
        throwIfGone()
        return own(signed)
      })
      .catch(unsigned)
  } catch (error) {
    return unsigned(error)
  }
}

/** What is observed refuses nothing: where an entry with the names of policies is too large, they are left out of it (K-OBSERVE). */
function whatFits<T>(whole: () => T, least: () => T): T {
  try {
    return whole()
  } catch (error) {
    // Said before the key is used.
    if (error instanceof KestError && error.code === 'ERR_KEST_LIMIT') return least()
    throw error
  }
}

/** Step 12: what the operation runs in. */
function stateOf(
  { clock, maxStateMs }: HookRuntime,
  frame: Frame,
  { identity, identityBy }: EffectiveValues,
  {
    state,
    names,
    signal,
  }: Pick<KestState, 'signal'> & {
    readonly state: KestState | null
    readonly names: Names | undefined
  },
): KestState {
  return {
    frame,
    origin: state?.origin ?? null,
    identity: identity === null ? null : { context: identity, by: identityBy },
    ...(names !== undefined && { names }),
    jwt: state?.jwt ?? null,
    ...(state?.txn !== undefined && { txn: state.txn }),
    signal,
    ...(state?.request !== undefined && { request: state.request }),
    lifetime: state?.lifetime.child() ?? new Lifetime(clock, clock.now() + maxStateMs),
  }
}
