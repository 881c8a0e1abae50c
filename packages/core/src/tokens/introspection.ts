import type { JWTPayload } from 'jose'
import { ageClock, type Clock } from '../clock.js'
import { KestError } from '../errors.js'
import { fetchJson } from '../identity/fetch-json.js'
import { inTime } from '../in-time.js'
import type { ResolvedIntrospection } from './introspection-options.js'
import { fetchIssuerMetadata } from './issuer-metadata.js'
import { nameOfToken, type TokenName } from './remembered-tokens.js'

const MAX_ANSWER_BYTES = 65_536
/** How long it is known where to ask; issuers move rarely. */
const ENDPOINT_AGE_MS = 600_000

/** What introspection works with. */
export interface IntrospectionDeps {
  readonly issuer: string
  readonly fetch: typeof fetch
  /** Answers that are remembered of tokens in force, and as many of others. */
  readonly maxRemembered: number
  readonly clock: Clock
}

interface Answer {
  /** `null` of a token that is not active. */
  readonly claims: JWTPayload | null
  readonly at: number
}

/**
 * Asks an issuer about tokens (RFC 7662). Several that wait for the same token share one question; answers are remembered by
 * the token's SHA-256, those about tokens that are not active too, and apart, so that made-up tokens push out none that is
 * in force.
 */
export class Introspection {
  readonly #options: ResolvedIntrospection
  readonly #deps: IntrospectionDeps
  readonly #clock: Clock
  readonly #active = new Map<TokenName, Answer>()
  readonly #inactive = new Map<TokenName, Answer>()
  readonly #flights = new Map<TokenName, Promise<Answer>>()
  #endpoint: { readonly url: Promise<URL>; readonly at: number } | undefined

  constructor(options: ResolvedIntrospection, deps: IntrospectionDeps) {
    this.#options = options
    this.#deps = deps
    this.#clock = ageClock(deps.clock)
  }

  /**
   * @returns what the issuer says of the token, not yet looked at; `null` when it is not active
   * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` when it does not say
   */
  async ask(token: string): Promise<JWTPayload | null> {
    const name = nameOfToken(token)
    const known = this.#active.get(name) ?? this.#inactive.get(name)
    if (known !== undefined && this.#clock.now() - known.at < this.#options.maxAgeMs) return known.claims
    const flight = this.#flights.get(name) ?? this.#begin(name, token)
    return (await flight).claims
  }

  #begin(name: TokenName, token: string): Promise<Answer> {
    const { maxConcurrent } = this.#options
    if (this.#flights.size >= maxConcurrent)
      throw unavailable(`${maxConcurrent} questions about tokens are under way`)
    const flight = this.#ask(token)
      .then((answer) => this.#remember(name, answer))
      .finally(() => this.#flights.delete(name))
    this.#flights.set(name, flight)
    return flight
  }

  #remember(name: TokenName, answer: Answer): Answer {
    this.#active.delete(name)
    this.#inactive.delete(name)
    const answers = answer.claims === null ? this.#inactive : this.#active
    answers.set(name, answer)
    const [oldest] = answers.keys()
    if (answers.size > this.#deps.maxRemembered) answers.delete(oldest as string)
    return answer
  }

  async #ask(token: string): Promise<Answer> {
    const { clientId, timeoutMs } = this.#options
    // What was true when it was asked.
    const at = this.#clock.now()
    try {
      const url = await this.#where(at)
      const { status, body } = await fetchJson(url, this.#bounds(timeoutMs), {
        method: 'POST',
        headers: {
          accept: 'application/json',
          authorization: basic(clientId, await this.#secret()),
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
      })
      if (status !== 200) throw new Error(`status ${status}`)
      const { active } = (body ?? {}) as { readonly active?: unknown }
      if (typeof active !== 'boolean') throw new Error('the answer does not say whether the token is active')
      return { claims: active ? (body as JWTPayload) : null, at }
    } catch (cause) {
      throw unavailable('the issuer could not be asked about a token', cause)
    }
  }

  /** Another's function: it may never answer, while the questions that wait for it are counted. */
  async #secret(): Promise<string> {
    const { clientSecret, timeoutMs } = this.#options
    const late = (ms: number) => unavailable(`no client secret within ${ms} ms`)
    const secret: unknown = await inTime((async () => clientSecret())(), { ms: timeoutMs, late })
    if (typeof secret === 'string' && secret !== '') return secret
    throw new Error('the client secret is no text')
  }

  #where(now: number): Promise<URL> {
    const { url, timeoutMs } = this.#options
    if (url !== null) return Promise.resolve(url)
    if (this.#endpoint !== undefined && now - this.#endpoint.at < ENDPOINT_AGE_MS) return this.#endpoint.url
    const discovering = fetchIssuerMetadata(this.#deps.issuer, this.#bounds(timeoutMs)).then(
      ({ introspectionEndpoint }) => {
        if (introspectionEndpoint === null) throw new Error('its metadata have no introspection_endpoint')
        return introspectionEndpoint
      },
    )
    const endpoint = { url: discovering, at: now }
    this.#endpoint = endpoint
    discovering.catch(() => {
      if (this.#endpoint === endpoint) this.#endpoint = undefined
    })
    return discovering
  }

  #bounds(timeoutMs: number) {
    return { fetch: this.#deps.fetch, timeoutMs, maxBytes: MAX_ANSWER_BYTES }
  }
}

/** RFC 6749 §2.3.1: both are form-encoded first. */
function basic(clientId: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`
}

function unavailable(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_KEYS_UNAVAILABLE', why, cause === undefined ? {} : { cause })
}
