import { KestError } from '@kest/core'

/** Why there is no answer of the next hop: what a client is told, and with which status. */
const STATUS = {
  /** It did not answer in time. */
  ERR_NEXT_TIMEOUT: 504,
  /** Nothing listens there, or the connection broke. */
  ERR_NEXT_UNREACHABLE: 502,
  /** What answered is not a hop. */
  ERR_NEXT_ANSWER: 502,
} as const

type NextCode = keyof typeof STATUS

/** What a client is answered. */
export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface NextHopOptions {
  /** Who asks. */
  readonly service: string
  /** For all of it, the body included. A hop further along gives up sooner, so that whoever is nearest to what hangs says so. */
  readonly timeoutMs: number
  /** By the client of one's choice. */
  readonly send: (path: string, signal: AbortSignal) => Promise<{ status: number; text(): Promise<string> }>
  /** Default: standard error. */
  readonly log?: (line: string) => void
}

/**
 * Asks the next hop, within a time, and answers by a code whatever comes of it: a hop that hangs or is gone must not take along those
 * that call it. A failure is logged when it begins and when it is over, not with each request.
 */
export class NextHop {
  readonly #options: NextHopOptions
  #failing: NextCode | null = null

  constructor(options: NextHopOptions) {
    this.#options = options
  }

  /** @throws {KestError} when the passport cannot be sent */
  async ask(path: string): Promise<Answer> {
    const { service, timeoutMs, send } = this.#options
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const { status, text } = await send(path, signal)
      const next = read(await text())
      if (next === null) return this.#failed('ERR_NEXT_ANSWER', `it answered ${status}, and no JSON of a hop`)
      this.#note(null, 'the next hop answers again')
      return { status, body: { service, next } }
    } catch (error) {
      const refusal = refusalIn(error)
      if (refusal !== null) throw refusal
      if (signal.aborted) return this.#failed('ERR_NEXT_TIMEOUT', `nothing within ${timeoutMs} ms`)
      return this.#failed('ERR_NEXT_UNREACHABLE', reasonOf(error))
    }
  }

  #failed(code: NextCode, why: string): Answer {
    this.#note(code, why)
    return { status: STATUS[code], body: { service: this.#options.service, code } }
  }

  #note(code: NextCode | null, msg: string): void {
    const { service, log = console.error } = this.#options
    if (this.#failing === code) return
    this.#failing = code
    log(JSON.stringify({ time: new Date().toISOString(), service, code, msg }))
  }
}

/** The answer of a hop, or its refusal; `null` for what is neither. */
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

function reasonOf(error: unknown): string {
  const reasons: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) reasons.push(at.message)
  return reasons.join(': ') || String(error)
}
