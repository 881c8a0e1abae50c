import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { type InContext, KestError, markWritten, type Sender, type SentRequest, toError } from '@kest/core'
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
      const baggage = await this.#inContext(() =>
        this.#sender.outbound(this.#target).baggage(lines, this.#target, undefined, this.#sent),
      )
      // What patches node:http2 beneath lets nothing else of Kest through.
      if (baggage !== undefined) metadata.set(BAGGAGE, markWritten(baggage))
    } catch (error) {
      this.#failure = toError(error)
      const { code } = refusalOf(error)
      throw Object.assign(new Error(this.#failure.message), { code })
    }
    return metadata
  }

  /** What the caller is told: gRPC hands on no more than the words of the error that kept his call from being sent. */
  explain(ended: StatusObject): StatusObject {
    const failure = this.#failure
    if (failure === null || ended.code === status.OK || !ended.details.includes(failure.message)) return ended
    const { code, metadata } = refusalOf(failure)
    metadata.merge(ended.metadata)
    // Becomes the `cause` of the error that gRPC makes of it.
    const explained: StatusObject & { readonly cause: Error } = {
      ...ended,
      code,
      details: failure instanceof KestError ? failure.message : ended.details,
      metadata,
      cause: failure,
    }
    return explained
  }
}
