import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KestError } from '@kest/core'
import { finding } from '../finding.js'
import { faultBatch, type SpanBatch } from '../read/batch.js'
import { type Place, placeText } from '../span/exported-span.js'
import { answerRefused, answerTaken, encodingOf, type OtlpEncoding } from './answer.js'
import { Inbox } from './inbox.js'
import { type OtlpReceiverOptions, resolveOptions } from './options.js'
import { readBody } from './read-body.js'
import { type Export, readExport } from './read-export.js'
import { Refusal } from './refusal.js'

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
  /** @throws {Refusal} for what is no export */
  readonly read: () => SpanBatch
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
 * Memory is bounded: `maxRequests` bodies of `maxBodyBytes`, twice while they are put together or uncompressed, and the million
 * objects and lists of the one that is read. More requests are told to come again (503), as is everybody once nobody
 * reads any more. There is no TLS and no authentication: nothing that comes is believed, but whoever reaches it can add to it.
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
  #url = ''
  #requests = 0
  #inFlight = 0
  #onIdle: (() => void) | null = null
  #closing: Promise<void> | null = null
  #reader: 'none' | 'reading' | 'gone' = 'none'

  private constructor(options: Required<OtlpReceiverOptions>) {
    this.#options = options
    this.#batches = this.#deliveries()
    this.#server = createServer(
      {
        headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.requestTimeoutMs),
        requestTimeout: options.requestTimeoutMs,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => void this.#receive(request, response),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
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
        const [batch, refusal] = batchOf(delivery)
        yield batch
        current = null
        delivery.settle(refusal)
      }
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
      const read = await this.#readerOf(request, encoding, place)
      if (read === null) {
        response.destroy()
        return
      }
      await this.#deliver(place, read)
      // A connection that stays open would hold up closing.
      if (this.#closing !== null) response.setHeader('connection', 'close')
      answerTaken(response, encoding ?? 'json')
    } catch (error) {
      if (response.destroyed) return
      answerRefused(response, encoding ?? 'json', error instanceof Refusal ? error : NOT_TAKEN)
    }
  }

  /**
   * What makes a batch of a request; `null` when its sender left. What is lost by refusing it is for whoever reads, as is what
   * should not have happened.
   *
   * @throws {Refusal} for what is none of their business
   */
  async #readerOf(
    request: IncomingMessage,
    encoding: OtlpEncoding | undefined,
    place: Place,
  ): Promise<(() => SpanBatch) | null> {
    try {
      const known = this.#assertWelcome(request, encoding)
      const body = await readBody(request, this.#options.maxBodyBytes)
      if (body === null) return null
      const received: Export = { encoding: known, body, place, receivedAt: Date.now() }
      return () => readExport(received)
    } catch (error) {
      if (error instanceof Refusal && !error.loses) throw error
      return () => {
        throw error
      }
    }
  }

  /** @throws {Refusal} */
  #assertWelcome({ method, url = '' }: IncomingMessage, encoding: OtlpEncoding | undefined): OtlpEncoding {
    if (url.split('?', 1)[0] !== PATH) throw new Refusal(404, `traces are taken at ${PATH}, and nothing else`)
    if (method !== 'POST') throw new Refusal(405, `${PATH} is for POST`)
    if (this.#closing !== null || this.#reader === 'gone') throw NOT_TAKEN
    if (this.#inFlight > this.#options.maxRequests) throw new Refusal(503, 'too many requests at once')
    if (encoding !== undefined) return encoding
    throw new Refusal(415, 'expected application/json or application/x-protobuf')
  }

  /** @throws {Refusal} when it was not taken */
  #deliver(place: Place, read: () => SpanBatch): Promise<void> {
    if (this.#reader === 'gone') return Promise.reject(NOT_TAKEN)
    return new Promise((resolve, reject) => {
      const settle = (refusal: Refusal | null): void => {
        if (refusal === null) resolve()
        else reject(refusal)
      }
      this.#inbox.put({ place, read, settle })
    })
  }
}

/** What a reader gets of a request, and what its sender does. */
function batchOf({ place, read }: Delivery): [batch: SpanBatch, refusal: Refusal | null] {
  try {
    return [read(), null]
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return [faultBatch(finding('unreadable', error.message, { place: placeText(place) })), error]
  }
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}${PATH}`
}
