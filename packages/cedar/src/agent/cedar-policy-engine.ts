import type { Decision, PolicyDeniedError, PolicyEngine, PolicyRequest } from '@kest/core'
import { Pool } from 'undici'
import { formatUid } from '../entity-types.js'
import { flatContext } from '../flat-context.js'
import { type CedarAnswer, judge, undecided } from '../refusal.js'
import { type CedarPolicyOptions, type ResolvedCedarPolicyOptions, resolveOptions } from './options.js'
import { AnswerTooLongError, type Posted, postJson } from './post-json.js'
import { readAnswer } from './read-answer.js'

/** What the questions of one request have in common. */
interface Asking {
  /** All of a question but the action. */
  readonly call: object
  /** Aborts when whoever asked has left, or an earlier policy decided. */
  readonly signal: AbortSignal
  /** Aborts when whoever asked has left. */
  readonly caller: AbortSignal
}

/**
 * Policies in Cedar, asked of a Cedar Agent: one request for each policy. All policies of an operation are asked at once
 * (K-ASK), and judged in order: the first that does not allow is the answer, and what is under way behind it is ended. The
 * mapping is that of {@link CedarWasmEngine}, and the whole context is sent. Only the decision `"Allow"` allows.
 *
 * It has connections of its own, kept alive: nothing of Kest's, or of instrumentation's fetch, goes along. No retry.
 *
 * @example
 * ```ts
 * const engine = new CedarPolicyEngine({ url: 'http://127.0.0.1:8180/v1' })
 * configure({ identity, engine, trust })
 * ```
 */
export class CedarPolicyEngine implements PolicyEngine {
  readonly #given: CedarPolicyOptions
  readonly #options: ResolvedCedarPolicyOptions
  readonly #pool: Pool
  #aside: CedarPolicyEngine | undefined
  /** Where it is asked. */
  readonly address: string

  /** @throws {KestConfigError} for options that are missing, unknown or wrong */
  constructor(options: CedarPolicyOptions) {
    this.#options = resolveOptions(options)
    this.#given = { ...options }
    const { origin, path, connections, tls } = this.#options
    this.address = origin + path
    this.#pool = new Pool(origin, { connections, ...(tls === undefined ? {} : { connect: tls }) })
  }

  /** The same agent, over as many connections more: what is only observed is asked there (K-OBSERVE). It is closed with this one. */
  get aside(): CedarPolicyEngine {
    if (this.#pool.destroyed) return this
    this.#aside ??= new CedarPolicyEngine(this.#given)
    return this.#aside
  }

  /**
   * @throws {PolicyDeniedError} by rejecting: `ERR_KEST_ENGINE` (unreachable, another status than 200, attributes that Cedar
   *   cannot hold, an allow beside policies that failed), `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER` (no decision,
   *   or too long)
   */
  async evaluate(request: PolicyRequest, { signal }: { readonly signal: AbortSignal }): Promise<Decision> {
    const call = this.#callOf(request)
    const notNeeded = new AbortController()
    const options = { call, signal: AbortSignal.any([signal, notNeeded.signal]), caller: signal }
    const answers = request.policies.map((policy) => {
      const answer = this.#ask(policy, request, options)
      // It may not be looked at.
      answer.catch(() => {})
      return answer
    })
    let decision: Decision | undefined
    try {
      for (const [index, policy] of request.policies.entries()) {
        decision = judge(policy, (await answers[index]) as CedarAnswer, request, decision)
        if (!decision.allow) break
      }
    } finally {
      notNeeded.abort()
    }
    return decision as Decision
  }

  evaluateAll(
    requests: readonly PolicyRequest[],
    options: { readonly signal: AbortSignal },
  ): readonly Promise<Decision>[] {
    return requests.map((request) => this.evaluate(request, options))
  }

  /** Ends the connections, and with them what is under way. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#aside?.close()])
  }

  /** All of a question but the action. */
  #callOf(request: PolicyRequest): object {
    const { names } = this.#options
    try {
      return {
        principal: formatUid(names.principal(request.context)),
        resource: formatUid(names.resource(request.context)),
        context: flatContext(request.context),
      }
    } catch (cause) {
      const [first] = request.policies
      throw undecided('ERR_KEST_ENGINE', first as string, (cause as Error).message, request, cause)
    }
  }

  async #ask(policy: string, request: PolicyRequest, { call, ...signals }: Asking): Promise<CedarAnswer> {
    const body = JSON.stringify({ ...call, action: formatUid(this.#options.names.action(policy)) })
    const { status, body: text } = await this.#post(policy, body, request, signals)
    if (status !== 200) throw undecided('ERR_KEST_ENGINE', policy, `the agent answered ${status}`, request)
    const answer = readAnswer(text)
    if (answer === undefined) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', policy, 'the agent answered no decision', request)
    }
    return answer
  }

  async #post(
    policy: string,
    body: string,
    request: PolicyRequest,
    { signal, caller }: Omit<Asking, 'call'>,
  ): Promise<Posted> {
    const { path, headers, timeoutMs, maxAnswerBytes } = this.#options
    const late = AbortSignal.timeout(timeoutMs)
    try {
      return await postJson(this.#pool, body, {
        path,
        headers,
        maxAnswerBytes,
        signal: AbortSignal.any([signal, late]),
      })
    } catch (cause) {
      // Whoever left knows why.
      if (caller.aborted) throw caller.reason
      if (late.aborted) {
        throw undecided(
          'ERR_KEST_ENGINE_TIMEOUT',
          policy,
          `no decision from ${this.address} within ${timeoutMs} ms`,
          request,
          cause,
        )
      }
      throw unanswered(policy, cause, request)
    }
  }
}

function unanswered(policy: string, cause: unknown, request: PolicyRequest): PolicyDeniedError {
  const code = cause instanceof AnswerTooLongError ? 'ERR_KEST_ENGINE_ANSWER' : 'ERR_KEST_ENGINE'
  return undecided(code, policy, (cause as Error).message, request, cause)
}
