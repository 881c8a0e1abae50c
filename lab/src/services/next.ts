import { KestError } from '@kest/core'
import { forward } from './item.js'

/** Why there is no answer of the next hop, and what an operator does about it. */
const FAILURES = {
  ERR_NEXT_TIMEOUT: {
    status: 504,
    msg: 'the next hop did not answer in time',
    remedy: 'look whether it hangs, and at its log',
  },
  ERR_NEXT_UNREACHABLE: {
    status: 502,
    msg: 'the next hop cannot be reached',
    remedy: 'look whether it runs, and at NEXT_URL and the network between',
  },
  ERR_NEXT_ANSWER: {
    status: 502,
    msg: 'what answered is not the next hop',
    remedy: 'look at what listens at NEXT_URL',
  },
} as const

export type NextCode = keyof typeof FAILURES

/** What a client is answered. */
export interface Forwarded {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** An answer of which nothing was read yet. */
export interface Sent {
  readonly status: number
  text(): Promise<string>
}

export interface NextHopOptions {
  /** Who asks. */
  readonly service: string
  readonly url: URL
  /**
   * For all of it, the body included. A service further along must give up sooner, so that whoever is nearest to what
   * hangs is who says so.
   */
  readonly timeoutMs: number
  /** By the client of one's choice. */
  readonly send: (
    url: URL,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> | undefined,
  ) => Promise<Sent>
  /** Default: lines of JSON on standard error. */
  readonly log?: (line: object) => void
}

/**
 * Asks the next hop, within a time, and answers by a code whatever comes of it: a service that hangs or is gone must not take
 * along those that call it. A failure is logged when it begins, and when it is over, not with each request.
 */
export class NextHop {
  readonly #options: NextHopOptions
  readonly #log: (line: object) => void
  #failing: NextCode | null = null
  #since = 0

  constructor(options: NextHopOptions) {
    this.#options = options
    this.#log = options.log ?? ((line) => console.error(JSON.stringify(line)))
  }

  /**
   * @param from the path that was asked for, whose query is passed on
   * @param headers of the request, where the client does not put them there by itself
   * @throws {KestError} when the passport cannot be sent
   */
  async ask(from: string, headers?: Readonly<Record<string, string>>): Promise<Forwarded> {
    const { service, url, timeoutMs, send } = this.#options
    // `AbortSignal.timeout` would go off after each answer, too, for nobody.
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeoutMs)
    const { signal } = late
    try {
      const answer = await send(forward(url, from), signal, headers)
      const next = read(await answer.text())
      if (next === null)
        return this.#failed('ERR_NEXT_ANSWER', `it answered ${answer.status}, and no JSON of a service`)
      this.#wentWell()
      return { status: answer.status === 200 ? 200 : 502, body: { service, next } }
    } catch (error) {
      const refusal = refusalIn(error)
      if (refusal !== null) throw refusal
      if (signal.aborted) return this.#failed('ERR_NEXT_TIMEOUT', `nothing within ${timeoutMs} ms`)
      return this.#failed(isNoHttp(error) ? 'ERR_NEXT_ANSWER' : 'ERR_NEXT_UNREACHABLE', reasonOf(error))
    } finally {
      clearTimeout(timer)
    }
  }

  #failed(code: NextCode, err: string): Forwarded {
    const { status, msg, remedy } = FAILURES[code]
    if (this.#failing === null) this.#since = Date.now()
    if (this.#failing !== code) this.#say('error', msg, { code, err, remedy })
    this.#failing = code
    return { status, body: { service: this.#options.service, code } }
  }

  #wentWell(): void {
    if (this.#failing === null) return
    this.#failing = null
    this.#say('warn', 'the next hop answers again', {
      seconds: Math.round((Date.now() - this.#since) / 1000),
    })
  }

  #say(level: 'error' | 'warn', msg: string, details: object): void {
    const { service, url } = this.#options
    this.#log({ level, time: new Date().toISOString(), msg, service, next: url.host, ...details })
  }
}

/** The answer of a service, or its refusal; `null` for what is neither. */
function read(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    const { service, code } = value as { service?: unknown; code?: unknown }
    return typeof service === 'string' || typeof code === 'string' ? value : null
  } catch {
    return null
  }
}

/** Clients wrap what refused the request. */
function refusalIn(error: unknown): KestError | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof KestError) return at
  return null
}

function isNoHttp(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.name === 'HTTPParserError') return true
  }
  return false
}

function reasonOf(error: unknown): string {
  const reasons: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, message } = at as NodeJS.ErrnoException
    reasons.push(message === '' ? String(code) : message)
  }
  return reasons.join(': ') || String(error)
}
