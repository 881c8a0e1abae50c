import {
  assertOptions,
  type Decision,
  isPromise,
  KestError,
  type PolicyContext,
  type PolicyEngine,
  type PolicyRequest,
} from '@kest/core'
import { alsoAllowed, decidedBy, isDenied } from '../decision/allowed.js'
import { UNDEFINED } from '../decision/read-decision.js'
import { denial, undecided } from '../decision/refusal.js'
import { PLAN_PACKAGE } from '../plans/format.js'
import type { Plan, PlanStatus } from '../plans/plan.js'
import { type Documents, readPlanAnswer } from '../plans/plan-answer.js'
import { Plans } from '../plans/plans.js'
import { Connections } from './connection.js'
import { contextTexts } from './context-texts.js'
import { Deadline, Scope, TimeIsUp } from './deadline.js'
import { type Answer, exchange } from './exchange.js'
import { hasQueries, known } from './known.js'
import { type OPAOptions, type ResolvedOPAOptions, resolveOptions } from './options.js'
import { parseObject } from './parse-object.js'
import { type Answered, PROVENANCE, revisionOf, together } from './provenance.js'
import { documentsOf, queryOf, reference } from './query.js'

/** So much of the time a plan has for itself; behind it, each policy is asked alone as well. */
const PLAN_SHARE = 0.5
/** Who leaves a plan unanswered for longer says something of it. */
const IMPATIENT_MS = 100

/** Who guards an OPA may let no parameter through. */
const BARRED = '; does what guards it let the parameter "provenance" through? provenance: false asks without'

/** That an earlier policy decided. */
const NOT_NEEDED = new Error('an earlier policy decided')

/**
 * Asks an Open Policy Agent (SPEC §7): `POST /v1/data/<path of the policy>` with `{"input": context}`. It allows when the
 * document is `true` or its `allow` is; an undefined one denies. All policies of an operation are asked at once (K-ASK), and
 * judged in order: the first that does not allow is the answer, and nobody waits for what is under way behind it.
 *
 * No answer is asked for again (SPEC §11.1). A question whose connection had been kept open, and is closed before a byte of an
 * answer has come, is asked once more on a new one, within the same time. All that is asked at once ends within `timeoutMs`,
 * and when whoever asked has left. It has a pool of connections of its own, which carries no passport.
 *
 * OPA says of each decision which bundles it has come from, and the decision has that as its `revision`: `opa:bundle:<name>@<revision>`,
 * a name that the bundle's author chose. There is none where a bundle has no revision, and where policies are in no bundle.
 *
 * Who reaches an unprotected OPA can rewrite its policies: let it listen on a Unix socket or the loopback, or ask for a token
 * or a client certificate.
 *
 * @throws {PolicyDeniedError} by rejecting: `ERR_KEST_ENGINE` (it cannot be reached, or answers an error, or too much),
 *   `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER` (not JSON, or no decision)
 *
 * @example
 * ```ts
 * const engine = new OPAPolicyEngine({ url: 'http://opa', socketPath: '/run/opa/opa.sock' })
 * await engine.health()
 * configure({ identity, engine, trust })
 * ```
 */
export class OPAPolicyEngine implements PolicyEngine {
  readonly #given: OPAOptions
  readonly #options: ResolvedOPAOptions
  readonly #connections: Connections
  readonly #base: string
  #aside: OPAPolicyEngine | undefined
  readonly #plans: Plans | null
  /** Where it is asked. */
  readonly address: string

  /** @throws {KestConfigError} for options that are unknown, wrong, or contradict each other */
  constructor(options: OPAOptions) {
    this.#options = resolveOptions(options)
    this.#given = { ...options }
    const { url, socketPath, connect, connections } = this.#options
    this.address = socketPath === undefined ? url.href : `${url.href} at ${socketPath}`
    this.#connections = new Connections(url.origin, { connect, connections })
    const { planRetryMs, pathOf } = this.#options
    this.#plans = planRetryMs === null ? null : new Plans(pathOf, planRetryMs)
    this.#base = url.pathname.replace(/\/$/, '')
  }

  /** The same OPA, over as many connections more: what is only observed is asked there, each policy by itself (K-OBSERVE). It is closed with this one. */
  get aside(): OPAPolicyEngine {
    if (this.#connections.kept.destroyed) return this
    this.#aside ??= new OPAPolicyEngine({ ...this.#given, plans: false })
    return this.#aside
  }

  evaluate(request: PolicyRequest, { signal }: { readonly signal: AbortSignal }): Promise<true | Decision> {
    return this.evaluateAll([request], { signal })[0] as Promise<true | Decision>
  }

  evaluateAll(
    requests: readonly PolicyRequest[],
    { signal }: { readonly signal: AbortSignal },
  ): readonly Promise<true | Decision>[] {
    const deadline = new Deadline(signal, this.#options.timeoutMs, requests.length)
    const textOf = requests.length === 1 ? JSON.stringify : contextTexts()
    const alone = (request: PolicyRequest): Promise<true | Decision> =>
      this.#decide(request, textOf, deadline)
    const plan = this.#plans?.of(requests) ?? null
    if (plan?.state === 'used') return this.#decideByPlan(plan, requests, textOf, alone, deadline)
    if (plan?.takeTry() === true) void this.#try(plan, requests, textOf)
    return requests.map(alone)
  }

  /** What was asked together so far, and whether by a plan; empty without the option `plans`. */
  plans(): readonly PlanStatus[] {
    return this.#plans?.status() ?? []
  }

  /**
   * Whether it serves, and as far as `bundles` says has activated its bundles: `GET /health`.
   *
   * @throws {KestError} by rejecting: `ERR_KEST_ENGINE`, `ERR_KEST_ENGINE_TIMEOUT`
   */
  async health(options: { readonly bundles?: boolean; readonly signal?: AbortSignal } = {}): Promise<void> {
    assertOptions('OPAPolicyEngine.health', options, ['bundles', 'signal'])
    const { bundles = false, signal = new AbortController().signal } = options
    const deadline = new Deadline(signal, this.#options.timeoutMs, 1)
    try {
      const path = `/health${bundles ? '?bundles' : ''}`
      const { status } = await this.#exchange({ method: 'GET', path, body: null }, deadline)
      if (status !== 200) throw new KestError('ERR_KEST_ENGINE', `OPA is not healthy: it answers ${status}`)
    } catch (cause) {
      if (cause instanceof KestError) throw cause
      throw new KestError(
        codeOf(cause),
        `OPA at ${this.address} does not say how it is: ${(cause as Error).message}`,
        { cause },
      )
    } finally {
      deadline.letGo()
    }
  }

  /**
   * Whether OPA has a policy, so that some input could give it a value: a name that is misspelled, or was not loaded, has none,
   * and denies for ever. Asks for its document with an empty input and, where that has no value, by OPA's Compile API
   * (`POST /v1/compile`) for any input.
   *
   * @returns `null` where OPA does not let it ask that
   * @throws {KestError} by rejecting: `ERR_KEST_ENGINE`, `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER`
   */
  async knows(policy: string, options: { readonly signal?: AbortSignal } = {}): Promise<boolean | null> {
    assertOptions('OPAPolicyEngine.knows', options, ['signal'])
    const { signal = new AbortController().signal } = options
    const deadline = new Deadline(signal, this.#options.timeoutMs, 1)
    const path = this.#options.pathOf(policy)
    const ask = async (question: string, body: object): Promise<Answer> => {
      try {
        return await this.#exchange({ method: 'POST', path: question, body: JSON.stringify(body) }, deadline)
      } catch (cause) {
        throw new KestError(codeOf(cause), `OPA at ${this.address}: ${(cause as Error).message}`, { cause })
      }
    }
    try {
      const document = known(await ask(dataPath(path), { input: {} }), (answer) =>
        Object.hasOwn(answer, 'result'),
      )
      if (document !== false) return document
      const query = { query: reference(path), unknowns: ['input'] }
      return known(await ask('/v1/compile', query), ({ result }) => hasQueries(result))
    } finally {
      deadline.letGo()
    }
  }

  /** Ends questions under way, and its connections. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#connections.destroy(), this.#aside?.close()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * One question for all. Where it is not answered as a plan answers, each policy is asked alone, within the same time, and so it
   * is where the plan takes long: an earlier policy may have denied, while a later one hangs.
   */
  #decideByPlan(
    plan: Plan,
    requests: readonly PolicyRequest[],
    textOf: (context: PolicyContext) => string,
    alone: (request: PolicyRequest) => Promise<true | Decision>,
    deadline: Deadline,
  ): readonly Promise<true | Decision>[] {
    const scope = new Scope()
    deadline.add(scope)
    const answer = this.#askByPlan(plan, requests, textOf, scope)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => {
        plan.is('failed')
        resolve(null)
      }, this.#options.timeoutMs * PLAN_SHARE)
    })
    const inTime = Promise.race([answer, late])
    const outcomes = requests.map(async (request, question) => {
      const judged = ({ documents, revision }: PlannedDocuments): true | Decision =>
        this.#judgeAll(
          request,
          (documents[question] as readonly unknown[]).map((document) => ({ document, revision })),
        )
      const documents = await inTime
      if (documents !== null) {
        deadline.letGo()
        return judged(documents)
      }
      const single = alone(request)
      return await Promise.race([single, answer.then((later) => (later === null ? single : judged(later)))])
    })
    void Promise.allSettled([inTime, ...outcomes]).then(() => {
      clearTimeout(timer)
      scope.end(NOT_NEEDED)
      deadline.done(scope)
    })
    return outcomes
  }

  /** Asks a plan for its own sake: nobody waits for what it answers. */
  async #try(
    plan: Plan,
    requests: readonly PolicyRequest[],
    textOf: (context: PolicyContext) => string,
  ): Promise<void> {
    const deadline = new Deadline(new AbortController().signal, this.#options.timeoutMs * PLAN_SHARE, 1)
    try {
      if ((await this.#askByPlan(plan, requests, textOf, deadline)) !== null) plan.is('used')
    } finally {
      deadline.letGo()
    }
  }

  /** Never rejects. @returns `null` for what is no answer of this plan, which is not asked again for a while */
  async #askByPlan(
    plan: Plan,
    requests: readonly PolicyRequest[],
    textOf: (context: PolicyContext) => string,
    scope: Scope,
  ): Promise<PlannedDocuments | null> {
    const since = performance.now()
    const path = `/v1/data/${PLAN_PACKAGE}/${plan.name}${this.#query}`
    try {
      const body = `{"input":{"contexts":[${requests.map(({ context }) => textOf(context)).join(',')}]}}`
      const { status, text } = await this.#exchange({ method: 'POST', path, body }, scope)
      const document = status === 200 ? parseObject(text) : undefined
      const found = document !== undefined && Object.hasOwn(document, 'result')
      const documents = found ? readPlanAnswer(document['result'], plan.name, plan.combination) : null
      if (documents === null) {
        plan.is(document === undefined || found ? 'failed' : 'absent')
        return null
      }
      const mapped = requests.some(({ policies }) => policies.some(this.#options.isMapped))
      return { documents, revision: revisionOf(document?.['provenance'], mapped) }
    } catch {
      // That whoever asked has left says nothing of the plan, unless he had waited for it. The policies alone say what is wrong.
      if (!scope.over || performance.now() - since > IMPATIENT_MS) plan.is('failed')
      return null
    }
  }

  async #decide(
    request: PolicyRequest,
    textOf: (context: PolicyContext) => string,
    deadline: Deadline,
  ): Promise<true | Decision> {
    const scope = new Scope()
    deadline.add(scope)
    try {
      const input = textOf(request.context)
      return this.#options.batch && request.policies.length > 1
        ? await this.#askTogether(request, input, scope)
        : await this.#askEach(request, input, scope)
    } finally {
      scope.end(NOT_NEEDED)
      deadline.done(scope)
      deadline.letGo()
    }
  }

  async #askEach(request: PolicyRequest, input: string, scope: Scope): Promise<true | Decision> {
    const { policies } = request
    const body = `{"input":${input}}`
    const documents = policies.map((policy) => {
      const document = this.#document(policy, body, request, scope)
      // It may not be looked at.
      document.catch(() => {})
      return document
    })
    let decision: true | Decision = true
    const looked: Answered[] = []
    for (const [index, policy] of policies.entries()) {
      const answer = (await documents[index]) as Answered
      looked.push(answer)
      decision = this.#judge(policy, answer.document, request, decision)
      if (isDenied(decision)) break
    }
    return decidedBy(decision, together(looked))
  }

  async #askTogether(request: PolicyRequest, input: string, scope: Scope): Promise<true | Decision> {
    const { policies } = request
    const query = JSON.stringify(queryOf(policies.map(this.#options.pathOf)))
    const question = { policies, path: '/v1/query', body: `{"query":${query},"input":${input}}` }
    const documents = documentsOf((await this.#ask(question, request, scope))['result'], policies.length)
    if (documents === undefined) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', policies, 'its answer is none to the query', request)
    }
    if (documents === null) return denial(policies.join(', '), UNDEFINED)
    return this.#judgeAll(
      request,
      documents.map((document) => ({ document, revision: undefined })),
    )
  }

  #judgeAll(request: PolicyRequest, answers: readonly Answered[]): true | Decision {
    let decision: true | Decision = true
    for (const [index, policy] of request.policies.entries()) {
      decision = this.#judge(policy, answers[index]?.document, request, decision)
      if (isDenied(decision)) break
    }
    return decidedBy(decision, together(answers))
  }

  async #document(policy: string, body: string, request: PolicyRequest, scope: Scope): Promise<Answered> {
    const { pathOf, isMapped } = this.#options
    const path = dataPath(pathOf(policy)) + this.#query
    const { result, provenance } = await this.#ask({ policies: [policy], path, body }, request, scope)
    return { document: result, revision: revisionOf(provenance, isMapped(policy)) }
  }

  get #query(): string {
    return this.#options.provenance ? PROVENANCE : ''
  }

  /** @returns what OPA says, whatever `result` is */
  async #ask(
    {
      policies,
      path,
      body,
    }: { readonly policies: readonly string[]; readonly path: string; readonly body: string },
    request: PolicyRequest,
    scope: Scope,
  ): Promise<Readonly<Record<string, unknown>>> {
    let answer: Answer
    try {
      answer = await this.#exchange({ method: 'POST', path, body }, scope)
    } catch (cause) {
      throw undecided(
        codeOf(cause),
        policies,
        `OPA at ${this.address} did not answer: ${(cause as Error).message}`,
        request,
        cause,
      )
    }
    if (answer.status !== 200) {
      const refused = (answer.status === 401 || answer.status === 403) && path.endsWith(PROVENANCE)
      const why = `OPA answered ${answer.status}${refused ? BARRED : ''}`
      throw undecided('ERR_KEST_ENGINE', policies, why, request)
    }
    const document = parseObject(answer.text)
    if (document === undefined) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', policies, 'OPA answered no JSON object', request)
    }
    return document
  }

  async #exchange(
    question: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body: string | null },
    scope: Scope,
  ): Promise<Answer> {
    const { authorization: authorize, maxAnswerBytes } = this.#options
    const authorizing = authorize()
    const authorization = isPromise(authorizing) ? await scope.wait(authorizing) : authorizing
    const headers = {
      ...(question.body === null ? {} : { 'content-type': 'application/json' }),
      ...(authorization === null ? {} : { authorization }),
    }
    const path = this.#base + question.path
    return await exchange(this.#connections, { ...question, path, headers }, maxAnswerBytes, scope)
  }

  /** @param before what the policies before it decided, which is that they allow */
  #judge(
    policy: string,
    document: unknown,
    request: PolicyRequest,
    before: true | Decision,
  ): true | Decision {
    const decision = this.#options.readerOf(policy)(document)
    if (decision === null) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', [policy], 'its document is no decision', request)
    }
    return decision.allow ? alsoAllowed(before, policy, decision.reason) : denial(policy, decision.reason)
  }
}

/** What a plan has answered. */
interface PlannedDocuments {
  readonly documents: Documents
  readonly revision: readonly string[] | undefined
}

function dataPath(path: string): string {
  return `/v1/data/${path.split('/').map(encodeURIComponent).join('/')}`
}

function codeOf(cause: unknown): 'ERR_KEST_ENGINE' | 'ERR_KEST_ENGINE_TIMEOUT' {
  return cause instanceof TimeIsUp ? 'ERR_KEST_ENGINE_TIMEOUT' : 'ERR_KEST_ENGINE'
}
