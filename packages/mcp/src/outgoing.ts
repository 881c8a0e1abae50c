import {
  type AwaitedReceipt,
  type Departing,
  getActiveKest,
  type Kest,
  KestConfigError,
  type KestState,
  type Outbound,
  type PropagateTo,
} from '@kest/core'
import { AwaitedReceipts } from './awaited-receipts.js'
import { isRecord, type Message, type Protocol, type Request, type Transport } from './message.js'
import { carrierOf } from './meta.js'
import { isKept, isOpen } from './methods.js'
import { type McpResultOptions, Results } from './results.js'
import { isHttp, keepWithinOrigin, urlOf } from './within-origin.js'

/** Who is told what this side asks for, and what becomes of the answers. */
export interface McpOutgoingOptions {
  /**
   * Whether the other end gets the passport with each call (K-SCOPE). `true`: it does. `false`: it is a stranger, and whatever of Kest's is in
   * `_meta` is taken out. A list of origins, or a function of the URL: where the connection leads there, over HTTP.
   */
  readonly carry: boolean | PropagateTo
  /**
   * Whether each call carries a token for the origin called (K-HOP), signed by the identity of `kest`. Needs origins in `carry`. Default
   * `false`.
   */
  readonly hop?: boolean | undefined
  /** Records what comes back as data of whoever answered. Default: nothing is. */
  readonly results?: McpResultOptions | undefined
  /** Default: the active one (`configure`), as it is when this is called. */
  readonly kest?: Kest | undefined
}

/** Stands for whoever was named by being connected. */
const NAMED = new URL('https://mcp.invalid')

/** Callbacks among the options of a request: a transport calls them in the context of whoever has opened it. */
const CALLBACKS = ['onprogress', 'onresumptiontoken'] as const

/** What leaves, with the passport of the moment in which it is asked for. */
export class Outgoing {
  /** Those that its requests wait for (K-RECEIPT). */
  readonly receipts = new AwaitedReceipts()
  readonly #kest: Kest
  readonly #outbound: Outbound
  readonly #results: Results | null
  /** Whether the connection says who is at the other end, and not the option. */
  readonly #byOrigin: boolean
  readonly #carries: boolean

  /** @throws {KestConfigError} for options that are missing or wrong; `where` says whose they are */
  constructor(where: string, { carry, hop = false, results, kest = getActiveKest() }: McpOutgoingOptions) {
    if (typeof kest?.outbound !== 'function')
      throw new KestConfigError(`${where}.kest: expected what createKest or configure answered`)
    if (carry === undefined)
      throw new KestConfigError(
        `${where}.carry: say whether the other end gets the passport: true, false, or origins (K-SCOPE); there is no default`,
      )
    this.#byOrigin = typeof carry !== 'boolean'
    if (typeof hop !== 'boolean')
      throw new KestConfigError(
        `${where}.hop: expected a boolean: what a call asks for is in its entry, as input_hash, and a token binds none of it`,
      )
    if (hop && !this.#byOrigin)
      throw new KestConfigError(`${where}.hop: a hop token is for an origin: name it in carry (K-HOP)`)
    this.#kest = kest
    this.#carries = carry !== false
    const propagateTo = typeof carry === 'boolean' ? [NAMED.origin] : carry
    this.#outbound = kest.outbound({ propagateTo, hop })
    this.#results = results === undefined ? null : new Results(`${where}.results`, kest, results)
  }

  /**
   * Before a transport is connected: what it carries stays within the origin that it leads to (K-REDIRECT).
   * @throws {KestConfigError} when origins are to decide, and the connection leads to none that can be seen, or from there to others
   */
  connects(transport: Transport): void {
    if (!this.#carries) return
    this.receipts.watch(transport)
    const url = urlOf(transport)
    const isKept = url === null || !isHttp(url) || keepWithinOrigin(transport, url)
    if (this.#byOrigin && (url === null || !isKept))
      throw new KestConfigError(
        'carry: where this transport leads, or is redirected, cannot be seen: say carry: true, or false, for whom it connects to',
      )
  }

  /** Stands before all that asks something of the other end: `request`, and `send` of the context that line 2 gives a handler. */
  takes(protocol: Protocol): void {
    protocol.request = this.#wrap(protocol.request, protocol)
    const { buildContext } = protocol
    if (buildContext === undefined) return
    protocol.buildContext = (context, ...rest) => {
      const { mcpReq } = context
      const own = { ...context, mcpReq: { ...mcpReq, send: this.#wrap(mcpReq.send, protocol) } }
      return buildContext.call(protocol, own, ...rest)
    }
  }

  /**
   * A function that sends a request and answers its result.
   * @param protocol whose it is: where it leads is said by what it is connected to when it is called
   */
  #wrap(request: Request, protocol: Pick<Protocol, 'transport'>): Request {
    const send = async (self: unknown, message: Message, rest: readonly unknown[]): Promise<unknown> => {
      const take = this.#results?.of(message)
      const to = this.#byOrigin ? urlOf(protocol.transport) : null
      const { carried, receipt } = await this.#carry(message, to ?? NAMED)
      const ask = (): Promise<unknown> => Reflect.apply(request, self, [carried, ...rest])
      const answer: unknown = receipt === null ? await ask() : await this.#receipted(receipt, ask)
      await take?.(answer)
      return this.#carries || this.#results !== null ? forNobodyElse(message, answer) : answer
    }
    const bind = (options: unknown): unknown => this.#bound(options)
    return function kestRequest(this: unknown, message, ...rest) {
      return send(this, message, rest.map(bind))
    }
  }

  /** Before the first await: the frame is that of the moment of the call (K-FLOW). */
  async #carry(
    message: Message,
    url: URL,
  ): Promise<{ readonly carried: Message; readonly receipt: AwaitedReceipt | null }> {
    const { method } = message
    const carrier = carrierOf(message)
    const { headers } = carrier
    const own: KestState | null | undefined =
      this.#carries && typeof method === 'string' && !isOpen(method) ? undefined : null
    const { baggage, receipt } = await this.#depart(headers['baggage'], url, own)
    if (baggage === undefined) delete headers['baggage']
    else headers['baggage'] = baggage
    return { carried: carrier.message(), receipt }
  }

  /** Somebody is configured for an origin: whoever was named by being connected, as over stdio, is nobody of whom a receipt could be. */
  async #depart(
    lines: Parameters<Outbound['depart']>[0],
    url: URL,
    own: KestState | null | undefined,
  ): Promise<Departing> {
    if (this.#byOrigin) return this.#outbound.depart(lines, url, own)
    return { baggage: await this.#outbound.baggage(lines, url, own), receipt: null }
  }

  /** @throws {KestError} `ERR_KEST_RECEIPT` instead of the answer */
  async #receipted(receipt: AwaitedReceipt, ask: () => Promise<unknown>): Promise<unknown> {
    const waiting = this.receipts.ask(receipt)
    let answer: unknown
    try {
      answer = await ask()
    } catch (error) {
      throw waiting.failure ?? error
    } finally {
      this.receipts.forget(receipt)
    }
    // What has come by a way that nobody watches has none; of all else it was looked at by now.
    await receipt.arrived([])
    return answer
  }

  #bound(options: unknown): unknown {
    if (!isRecord(options)) return options
    const own = CALLBACKS.filter((name) => typeof options[name] === 'function')
    if (own.length === 0) return options
    const bound = own.map((name) => [name, this.#kest.bind(options[name] as () => void)] as const)
    return { ...options, ...Object.fromEntries(bound) }
  }
}

/** The SDK would answer others with it, for whom nobody has asked: neither decided nor recorded, and out of another's hands. */
function forNobodyElse({ method }: Message, answer: unknown): unknown {
  return isKept(method) && isRecord(answer) ? { ...answer, ttlMs: 0 } : answer
}
