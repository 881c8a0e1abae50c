import { assertOptions, type Decision, KestError, type PolicyEngine, type PolicyRequest } from '@kest/core'
import { Pool } from 'undici'
import { alsoAllowed, isDenied } from '../decision/allowed.js'
import { UNDEFINED } from '../decision/read-decision.js'
import { denial, undecided } from '../decision/refusal.js'
import { Deadline, TimeIsUp } from './deadline.js'
import { type Answer, exchange } from './exchange.js'
import { type OPAOptions, type ResolvedOPAOptions, resolveOptions } from './options.js'
import { documentsOf, queryOf } from './query.js'

/**
 * Asks an Open Policy Agent (SPEC §7): `POST /v1/data/<path of the policy>` with `{"input": context}`. It allows when the
 * document is `true` or its `allow` is; an undefined one denies. Of several policies all are asked, in order, until one
 * does not allow; with `batch`, at once.
 *
 * Nothing is tried again (SPEC §11.1). Each question ends within `timeoutMs`, and when whoever asked has left. It has a
 * pool of connections of its own, which carries no passport.
 *
 * Who reaches an unprotected OPA can rewrite its policies: let it listen on the loopback or a Unix socket, or ask for a
 * token or a client certificate.
 *
 * @throws {PolicyDeniedError} by rejecting: `ERR_KEST_ENGINE` (it cannot be reached, or answers an error, or too much),
 *   `ERR_KEST_ENGINE_TIMEOUT`, `ERR_KEST_ENGINE_ANSWER` (not JSON, or no decision)
 *
 * @example
 * ```ts
 * const engine = new OPAPolicyEngine({ url: 'http://127.0.0.1:8181' })
 * await engine.health()
 * configure({ identity, engine, trust })
 * ```
 */
export class OPAPolicyEngine implements PolicyEngine {
  readonly #options: ResolvedOPAOptions
  readonly #pool: Pool
  readonly #base: string

  /** @throws {KestConfigError} for options that are unknown, wrong, or contradict each other */
  constructor(options: OPAOptions) {
    this.#options = resolveOptions(options)
    const { url, connect, connections } = this.#options
    // Time-outs are the deadline's alone.
    this.#pool = new Pool(url.origin, { connect, connections, headersTimeout: 0, bodyTimeout: 0 })
    this.#base = url.pathname.replace(/\/$/, '')
  }

  async evaluate(
    request: PolicyRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<true | Decision> {
    using deadline = new Deadline(signal, this.#options.timeoutMs)
    if (this.#options.batch && request.policies.length > 1) return await this.#askAll(request, deadline)
    const body = JSON.stringify({ input: request.context })
    let decision: true | Decision = true
    for (const policy of request.policies) {
      const path = this.#options.pathOf(policy).split('/').map(encodeURIComponent).join('/')
      const question = { policies: [policy], path: `/v1/data/${path}`, body }
      decision = this.#judge(policy, await this.#ask(question, request, deadline), request, decision)
      if (isDenied(decision)) break
    }
    return decision
  }

  /**
   * Whether it serves, and as far as `bundles` says has activated its bundles: `GET /health`.
   *
   * @throws {KestError} by rejecting: `ERR_KEST_ENGINE`, `ERR_KEST_ENGINE_TIMEOUT`
   */
  async health(options: { readonly bundles?: boolean; readonly signal?: AbortSignal } = {}): Promise<void> {
    assertOptions('OPAPolicyEngine.health', options, ['bundles', 'signal'])
    const { bundles = false, signal = new AbortController().signal } = options
    using deadline = new Deadline(signal, this.#options.timeoutMs)
    try {
      const path = `/health${bundles ? '?bundles' : ''}`
      const { status } = await this.#exchange({ method: 'GET', path, body: null }, deadline)
      if (status !== 200) throw new KestError('ERR_KEST_ENGINE', `OPA is not healthy: it answers ${status}`)
    } catch (cause) {
      if (cause instanceof KestError) throw cause
      throw new KestError(codeOf(cause), `OPA does not say how it is: ${(cause as Error).message}`, { cause })
    }
  }

  /** Ends questions under way, and its connections. Idempotent. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #askAll(request: PolicyRequest, deadline: Deadline): Promise<true | Decision> {
    const { policies, context } = request
    const query = queryOf(policies.map(this.#options.pathOf))
    const question = { policies, path: '/v1/query', body: JSON.stringify({ query, input: context }) }
    const documents = documentsOf(await this.#ask(question, request, deadline), policies.length)
    if (documents === undefined) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', policies, 'its answer is none to the query', request)
    }
    if (documents === null) return denial(policies.join(', '), UNDEFINED)
    let decision: true | Decision = true
    for (const [index, policy] of policies.entries()) {
      decision = this.#judge(policy, documents[index], request, decision)
      if (isDenied(decision)) break
    }
    return decision
  }

  /** @returns `result`, whatever it is */
  async #ask(
    {
      policies,
      path,
      body,
    }: { readonly policies: readonly string[]; readonly path: string; readonly body: string },
    request: PolicyRequest,
    deadline: Deadline,
  ): Promise<unknown> {
    let answer: Answer
    try {
      answer = await this.#exchange({ method: 'POST', path, body }, deadline)
    } catch (cause) {
      throw undecided(
        codeOf(cause),
        policies,
        `OPA did not answer: ${(cause as Error).message}`,
        request,
        cause,
      )
    }
    if (answer.status !== 200) {
      throw undecided('ERR_KEST_ENGINE', policies, `OPA answered ${answer.status}`, request)
    }
    const document = parseObject(answer.text)
    if (document === undefined) {
      throw undecided('ERR_KEST_ENGINE_ANSWER', policies, 'OPA answered no JSON object', request)
    }
    return Object.hasOwn(document, 'result') ? document['result'] : undefined
  }

  async #exchange(
    question: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body: string | null },
    deadline: Deadline,
  ): Promise<Answer> {
    const { authorization: authorize, maxAnswerBytes } = this.#options
    const authorizing = authorize()
    const authorization = authorizing instanceof Promise ? await deadline.wait(authorizing) : authorizing
    const headers = {
      ...(question.body === null ? {} : { 'content-type': 'application/json' }),
      ...(authorization === null ? {} : { authorization }),
    }
    const path = this.#base + question.path
    return await exchange(this.#pool, { ...question, path, headers }, maxAnswerBytes, deadline.signal)
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

function codeOf(cause: unknown): 'ERR_KEST_ENGINE' | 'ERR_KEST_ENGINE_TIMEOUT' {
  return cause instanceof TimeIsUp ? 'ERR_KEST_ENGINE_TIMEOUT' : 'ERR_KEST_ENGINE'
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
