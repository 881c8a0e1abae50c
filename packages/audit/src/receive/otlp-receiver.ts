import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KestError } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { faultBatch, type SpanBatch } from '../read/batch.js'
import { type Place, placeText } from '../span/exported-span.js'
import { answerRefused, answerTaken, encodingOf, type OtlpEncoding } from './answer.js'
import { Arrivals } from './arrivals.js'
import { Inbox } from './inbox.js'
import { type OtlpReceiverOptions, resolveOptions } from './options.js'
import { readBody, uncompressed } from './read-body.js'
import { readExport } from './read-export.js'
import { Refusal, tooMuch } from './refusal.js'

const PATH = '/v1/traces'
/** How a place of what was received is called, before the number of the request. */
const PLACE = 'otlp'
const MAX_CONNECTIONS = 256
const HEADERS_TIMEOUT_MS = 10_000
/** How often connections are looked at that take too long. */
const CHECK_MS = 1_000

const NOT_TAKEN = new Refusal(503, 'nobody takes spans any more')

/** A request on its way to whoever reads. */
interface Delivery {
  readonly place: Place
  readonly bytes: number
  /** @throws {Refusal} for what is no export */
  readonly read: () => Promise<SpanBatch>
  /** It was taken: `null`; or why it was not. */
  readonly settle: (refusal: Refusal | null) => void
}

/**
 * Receives spans by OTLP/HTTP (JSON and protobuf, also compressed by gzip), from services or from a Collector, as a source
 * for {@link Audit}. Made by {@link OtlpReceiver.listen}.
 *
 * A sender gets 200 when whoever reads has come back for the next: then its spans are kept, but no longer than the audit
 * is. What cannot be read is a finding `unreadable`, in the place `otlp:<number of the request>`, and its sender gets 400. A
 * request that its sender gives up before it is whole counts for nothing.
 *
 * The time at which a request came bounds the times that entries state (K-TIME): the auditor is a witness then.
 *
 * Memory is bounded: `maxPendingBytes` of bodies that wait, as many of those that have not come whole, and the one that is read, uncompressed,
 * with its million objects and lists. Beyond that, requests are told to come again (503), first those that have been silent for longest; who sends
 * too slowly is told so (408). How many were refused so is a finding `limit`, for whether they came again is not known. Once
 * nobody reads any more, everybody gets 503. There is no TLS and no authentication: nothing that comes is believed, but whoever reaches it can
 * add to it.
 *
 * @example
 * ```ts
 * await using receiver = await OtlpReceiver.listen({ port: 4318 })
 * process.once('SIGTERM', () => receiver.close())
 * await audit.read(receiver)
 * ```
 */
export class OtlpReceiver implements AsyncIterable<SpanBatch>, AsyncDisposable {
  readonly #options: Required<OtlpReceiverOptions>
  readonly #server: Server
  readonly #inbox = new Inbox<Delivery>()
  readonly #batches: AsyncGenerator<SpanBatch, void, undefined>
  readonly #arrivals: Arrivals
  #url = ''
  #requests = 0
  #inFlight = 0
  #waitingBytes = 0
  /** Requests and connections that were refused, and may come again. */
  #refused = 0
  #onIdle: (() => void) | null = null
  #closing: Promise<void> | null = null
  #reader: 'none' | 'reading' | 'gone' = 'none'

  private constructor(options: Required<OtlpReceiverOptions>) {
    this.#options = options
    this.#batches = this.#deliveries()
    this.#arrivals = new Arrivals(options.maxPendingBytes, options.requestTimeoutMs)
    this.#server = createServer(
      {
        headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
        // Of a body the arrivals say how long it may take.
        requestTimeout: 0,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => void this.#receive(request, response),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('drop', () => this.#refused++)
  }

  /**
   * @throws {KestConfigError} for options that are unknown or wrong
   * @throws {KestError} `ERR_KEST_EVIDENCE` when it cannot listen there
   */
  static async listen(options: OtlpReceiverOptions = {}): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(resolveOptions(options))
    const { host, port } = receiver.#options
    try {
      receiver.#server.listen(port, host)
      await once(receiver.#server, 'listening')
    } catch (cause) {
      const { code = 'unknown' } = cause as NodeJS.ErrnoException
      throw new KestError('ERR_KEST_EVIDENCE', `cannot listen on ${host}, port ${port}: ${code}`, { cause })
    }
    receiver.#url = urlOf(receiver.#server.address() as AddressInfo)
    return receiver
  }

  /** Where exporters send to: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. */
  get url(): string {
    return this.#url
  }

  /** Requests that were not answered yet. */
  get pending(): number {
    return this.#inFlight
  }

  /** For one reader; ends when it was closed and everything was taken. */
  [Symbol.asyncIterator](): AsyncGenerator<SpanBatch, void, undefined> {
    return this.#batches
  }

  /** Takes no more requests. Those that are on their way are finished, if somebody reads, within `requestTimeoutMs`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    if (this.#reader !== 'reading') this.#abandon()
    if (this.#inFlight > 0) await this.#untilIdle()
    this.#refused += this.#inFlight
    this.#inbox.end()
    this.#server.closeAllConnections()
    await closed
  }

  /** A server that was closed no longer looks at who takes too long. */
  async #untilIdle(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
      timer = setTimeout(resolve, this.#options.requestTimeoutMs)
    })
    clearTimeout(timer)
  }

  async *#deliveries(): AsyncGenerator<SpanBatch, void, undefined> {
    this.#reader = 'reading'
    let current: Delivery | null = null
    try {
      for await (const delivery of this.#inbox) {
        current = delivery
        const [batch, refusal] = await batchOf(delivery)
        yield batch
        current = null
        delivery.settle(refusal)
      }
      if (this.#refused > 0) yield faultBatch(refused(this.#refused))
    } finally {
      current?.settle(NOT_TAKEN)
      this.#abandon()
    }
  }

  /** Nobody reads: what waits is not taken, nor is what comes. */
  #abandon(): void {
    this.#reader = 'gone'
    this.#inbox.end()
    for (const { settle } of this.#inbox.drain()) settle(NOT_TAKEN)
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#inFlight++
    response.once('close', () => {
      if (--this.#inFlight === 0) this.#onIdle?.()
    })
    const place = { file: PLACE, line: ++this.#requests }
    const encoding = encodingOf(request.headers['content-type'])
    try {
      const delivery = await this.#deliveryOf(request, encoding, place)
      if (delivery === null) {
        response.destroy()
        return
      }
      await this.#deliver(delivery)
      // A connection that stays open would hold up closing.
      if (this.#closing !== null) response.setHeader('connection', 'close')
      answerTaken(response, encoding ?? 'json')
    } catch (error) {
      if (error instanceof Refusal && error.counted) this.#refused++
      if (response.destroyed) return
      answerRefused(response, encoding ?? 'json', error instanceof Refusal ? error : NOT_TAKEN)
    }
  }

  /**
   * A request that has come; `null` when its sender left. What is lost by refusing it is for whoever reads, as is what should not have
   * happened.
   *
   * @throws {Refusal} for what is none of their business
   */
  async #deliveryOf(
    request: IncomingMessage,
    encoding: OtlpEncoding | undefined,
    place: Place,
  ): Promise<Omit<Delivery, 'settle'> | null> {
    const { maxBodyBytes } = this.#options
    try {
      const known = this.#assertWelcome(request, encoding)
      const came = await readBody(request, maxBodyBytes, this.#arrivals)
      if (came === null) return null
      const receivedAt = Date.now()
      // Uncompressed when its turn comes: one at a time takes the memory of one.
      const read = async (): Promise<SpanBatch> => {
        const body = await uncompressed(came, maxBodyBytes)
        return readExport({ encoding: known, body, place, receivedAt })
      }
      return { place, bytes: came.bytes.length, read }
    } catch (error) {
      if (error instanceof Refusal && !error.loses) throw error
      return { place, bytes: 0, read: () => Promise.reject(error as Error) }
    }
  }

  /** @throws {Refusal} */
  #assertWelcome({ method, url = '' }: IncomingMessage, encoding: OtlpEncoding | undefined): OtlpEncoding {
    if (url.split('?', 1)[0] !== PATH) throw new Refusal(404, `traces are taken at ${PATH}, and nothing else`)
    if (method !== 'POST') throw new Refusal(405, `${PATH} is for POST`)
    if (this.#closing !== null || this.#reader === 'gone') throw NOT_TAKEN
    if (encoding !== undefined) return encoding
    throw new Refusal(415, 'expected application/json or application/x-protobuf')
  }

  /** @throws {Refusal} when it was not taken */
  async #deliver(one: Omit<Delivery, 'settle'>): Promise<void> {
    if (this.#reader === 'gone') throw NOT_TAKEN
    if (this.#waitingBytes + one.bytes > this.#options.maxPendingBytes) throw tooMuch()
    this.#waitingBytes += one.bytes
    try {
      await new Promise<void>((resolve, reject) => {
        const settle = (refusal: Refusal | null): void => {
          if (refusal === null) resolve()
          else reject(refusal)
        }
        this.#inbox.put({ ...one, settle })
      })
    } finally {
      this.#waitingBytes -= one.bytes
    }
  }
}

/** What a reader gets of a request, and what its sender does. */
async function batchOf({ place, read }: Delivery): Promise<[batch: SpanBatch, refusal: Refusal | null]> {
  try {
    return [await read(), null]
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return [faultBatch(finding('unreadable', error.message, { place: placeText(place) })), error]
  }
}

function refused(times: number): AuditFinding {
  const why = `${times} requests were refused, for more came at once than is held, or they were too slow; whether they came again is not known`
  return finding('limit', why, { place: PLACE })
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}${PATH}`
}
