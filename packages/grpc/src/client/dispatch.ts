import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import {
  type AwaitedReceipt,
  type InContext,
  KestError,
  type MaybePromise,
  markWritten,
  type Sender,
  type SentRequest,
  toError,
} from '@kest/core'
import { refusalOf } from '../status.js'

const BAGGAGE = 'baggage'

/** What one call carries: decided anew for each attempt, always for whoever made the call. */
export class Dispatch {
  readonly #inContext: InContext
  readonly #sender: Sender
  readonly #target: URL
  /** What a hop token can be bound to (K-BODY). */
  readonly #sent: SentRequest
  /** What the application had written. */
  #lines: readonly string[] = []
  /** What its attempts have asked for, each by its own name (K-RECEIPT). */
  readonly #asked: AwaitedReceipt[] = []
  /** Why the newest attempt was not sent. */
  #failure: Error | null = null

  /** @param path `/package.Service/Method` */
  constructor(inContext: InContext, sender: Sender, target: URL, path: string) {
    this.#inContext = inContext
    this.#sender = sender
    this.#target = target
    this.#sent = { method: 'POST', path }
  }

  /** Keeps what a call has of `baggage`. What is left is the same object, or a copy: callers use one for many calls. */
  take(metadata: Metadata): Metadata {
    this.#lines = metadata.get(BAGGAGE) as string[]
    if (this.#lines.length === 0) return metadata
    const rest = metadata.clone()
    rest.remove(BAGGAGE)
    return rest
  }

  /**
   * The metadata of an attempt.
   * @param given of other credentials
   * @throws an error with the number of a status, so that gRPC ends the call with it
   */
  async metadata(given: Metadata): Promise<Metadata> {
    const metadata = new Metadata()
    metadata.merge(given)
    metadata.remove(BAGGAGE)
    const lines = [...this.#lines, ...(given.get(BAGGAGE) as string[])]
    this.#failure = null
    try {
      const { baggage, receipt } = await this.#inContext(async () =>
        this.#sender.outbound(this.#target).depart(lines, this.#target, undefined, this.#sent),
      )
      if (receipt !== null) this.#asked.push(receipt)
      // What patches node:http2 beneath lets nothing else of Kest through.
      if (baggage !== undefined) metadata.set(BAGGAGE, markWritten(baggage))
    } catch (error) {
      this.#failure = toError(error)
      const { code } = refusalOf(error)
      throw Object.assign(new Error(this.#failure.message), { code })
    }
    return metadata
  }

  /**
   * The call was answered, with these receipts. gRPC does not say which attempt it is the answer to, where several wait for one: the
   * receipt does, and is then judged as that attempt's.
   *
   * @throws {KestError} as `AwaitedReceipt.arrived`
   */
  arrived(values: readonly string[]): MaybePromise<void> {
    const asked = this.#asked
    const named = asked.length > 1 ? asked.find(({ nonce }) => values.some((one) => names(one, nonce))) : null
    return (named ?? asked.at(-1))?.arrived(values)
  }

  /** What the caller is told where a call ends by an error of Kest's. */
  refusal(error: Error, details = ''): StatusObject {
    const { code, metadata } = refusalOf(error)
    // Becomes the `cause` of the error that gRPC makes of it.
    const refused: StatusObject & { readonly cause: Error } = {
      code,
      details: error instanceof KestError ? error.message : details,
      metadata,
      cause: error,
    }
    return refused
  }

  /** What the caller is told: gRPC hands on no more than the words of the error that kept his call from being sent. */
  explain(ended: StatusObject): StatusObject {
    const failure = this.#failure
    if (failure === null || ended.code === status.OK || !ended.details.includes(failure.message)) return ended
    const refused = this.refusal(failure, ended.details)
    refused.metadata.merge(ended.metadata)
    return { ...ended, ...refused }
  }
}

/** Whether a compact JWS speaks of an attempt. */
function names(jws: string, nonce: string): boolean {
  const [, payload = ''] = jws.split('.', 2)
  return Buffer.from(payload, 'base64url').includes(nonce)
}
