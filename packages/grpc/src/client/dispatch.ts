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
  /** What its attempts have asked for, each by its own name (K-RECEIPT), in the order in which they began. */
  readonly #asked: (AwaitedReceipt | null)[] = []
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

  /** An attempt has begun: its number, for {@link metadata}. */
  attempt(): number {
    return this.#asked.push(null) - 1
  }

  /**
   * The metadata of an attempt.
   * @param given of other credentials
   * @throws an error with the number of a status, so that gRPC ends the call with it
   */
  async metadata(given: Metadata, attempt: number): Promise<Metadata> {
    const metadata = new Metadata()
    metadata.merge(given)
    metadata.remove(BAGGAGE)
    const lines = [...this.#lines, ...(given.get(BAGGAGE) as string[])]
    this.#failure = null
    try {
      const { baggage, receipt } = await this.#inContext(async () =>
        this.#sender.outbound(this.#target).depart(lines, this.#target, undefined, this.#sent),
      )
      this.#asked[attempt] = receipt
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
   * The call was answered, with these receipts. Of attempts that wait at once gRPC does not say which it is the answer to, but how
   * many there were before: to none of those that came earlier. Of the others the receipt says it, and is judged as that one's.
   *
   * @param attempts before the one that was answered, those that were not to count left out
   * @throws {KestError} as `AwaitedReceipt.arrived`
   */
  arrived(values: readonly string[], attempts: number): MaybePromise<void> {
    const asked = this.#asked.filter((one, n) => one !== null && n >= attempts)
    const named = asked.length > 1 ? asked.find((one) => values.some((value) => names(value, one))) : null
    const awaited = named ?? asked.at(-1) ?? this.#asked.findLast((one) => one !== null)
    return awaited?.arrived(values)
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

/** Whether a compact JWS speaks of what an attempt has asked for. */
function names(jws: string, asked: AwaitedReceipt | null): boolean {
  const [, payload = ''] = jws.split('.', 2)
  return asked !== null && Buffer.from(payload, 'base64url').includes(asked.nonce)
}
