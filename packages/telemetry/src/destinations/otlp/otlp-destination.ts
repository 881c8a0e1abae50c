import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { VERSION } from '@kest/core'
import type { ReadableSpan } from '../../spans/readable-span.js'
import { type Destination, NotNowError, SpansRefusedError, serialized } from '../destination.js'
import { otlpMessage } from '../otlp-json.js'
import { UnderWay } from '../under-way.js'
import { otlpProtobuf } from './otlp-protobuf.js'
import { type PartialSuccess, parseOtlpResponse, refusalIn } from './otlp-response.js'
import type { OtlpSettings } from './otlp-settings.js'
import { type Answer, post } from './post.js'
import { retryAfterMs } from './retry-after.js'

const CONTENT_TYPES = { 'http/json': 'application/json', 'http/protobuf': 'application/x-protobuf' }

/** Answers that judge the spans, when a receiver of OTLP gives them. */
const REFUSALS: ReadonlySet<number> = new Set([400, 422])

/** Judges the size of what was sent, whoever on the way gives it: fewer spans may pass, and this one never will. */
const TOO_LARGE = 413

/** Of a body that is shown to the operator. */
const SHOWN_CHARACTERS = 200

/** A Collector, or whatever receives OTLP over HTTP. Each call of `write` is one attempt. */
export class OtlpDestination implements Destination {
  readonly name: string
  readonly #settings: OtlpSettings
  readonly #url: URL
  readonly #agent: HttpAgent | HttpsAgent
  readonly #closing = new AbortController()
  readonly #writing = new UnderWay()

  constructor(settings: OtlpSettings) {
    this.#settings = settings
    this.#url = new URL(settings.url)
    this.#agent =
      this.#url.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true, ...settings.tls })
        : new HttpAgent({ keepAlive: true })
    this.name = `OTLP ${this.#url.origin}${this.#url.pathname}`
  }

  write(spans: readonly ReadableSpan[]): Promise<void> {
    return this.#writing.begin(this.#write(spans))
  }

  /** What is under way fails, and is not asked again. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#agent.destroy()
    await this.#writing.ended()
  }

  async #write(spans: readonly ReadableSpan[]): Promise<void> {
    const { protocol, timeoutMs, headers, compressed } = this.#settings
    const message = serialized(() => bytesOf(spans, protocol))
    const answer = await post({
      url: this.#url,
      headers: {
        'user-agent': `kest-typescript/${VERSION}`,
        ...headers,
        'content-type': CONTENT_TYPES[protocol],
        ...(compressed ? { 'content-encoding': 'gzip' } : {}),
      },
      body: compressed ? await promisify(gzip)(message) : message,
      agent: this.#agent,
      timeoutMs,
      signal: this.#closing.signal,
    })
    if (answer.status >= 200 && answer.status <= 299) assertTaken(answer)
    else throw this.#notTaken(answer, message.length)
  }

  #notTaken(answer: Answer, length: number): Error {
    const { status } = answer
    if (status === TOO_LARGE)
      return new SpansRefusedError(`${describe(answer)}, for ${length} bytes`, null, {
        reason: 'refused',
      })
    const refusal = REFUSALS.has(status) ? refusalIn(answer.body, this.#settings.protocol) : null
    if (refusal !== null) return new SpansRefusedError(describe(answer), null)
    return new NotNowError(describe(answer), status, retryAfterMs(answer.retryAfter, Date.now()))
  }
}

function bytesOf(spans: readonly ReadableSpan[], protocol: OtlpSettings['protocol']): Uint8Array {
  return protocol === 'http/json' ? Buffer.from(otlpMessage(spans)) : otlpProtobuf(spans)
}

/** It may take a part, or nothing, and answer with success. */
function assertTaken(answer: Answer): void {
  let response: PartialSuccess
  try {
    response = parseOtlpResponse(answer.body)
  } catch {
    throw new NotNowError(
      `the answer says success, but is none of a receiver of OTLP: ${describe(answer)}`,
      answer.status,
      null,
    )
  }
  const { rejectedSpans, errorMessage } = response
  if (rejectedSpans > 0)
    throw new SpansRefusedError(`${describe(answer, errorMessage)}: partial success`, rejectedSpans)
}

/** In one line, and as JSON: it may come from strangers. */
function describe({ status, reason, address, body }: Answer, said?: string): string {
  const text = said ?? Buffer.from(body.subarray(0, SHOWN_CHARACTERS * 4)).toString()
  const shown = JSON.stringify(text.slice(0, SHOWN_CHARACTERS))
  return `HTTP ${status}${reason === '' ? '' : ` ${reason}`} from ${address}: ${shown}`
}
