import type { ClientRequest } from 'node:http'
import { KestError, Pieces } from '@kest/core'

/** What is written to a request whose header waits for the end of it, since its hop token is bound to it (K-BODY). */
export class WrittenBody {
  readonly #pieces = new Pieces()
  readonly #request: ClientRequest
  readonly #limit: number

  /** @throws {KestError} `ERR_KEST_OUTBOUND` for a request that says already that it has more */
  constructor(request: ClientRequest, limit: number) {
    this.#request = request
    this.#limit = limit
    if (Number(request.getHeader('content-length') ?? 0) > limit) throw this.#tooLong()
  }

  /** What was taken, in its order. */
  get chunks(): readonly Uint8Array[] {
    return this.#pieces.list()
  }

  /** @throws {KestError} `ERR_KEST_OUTBOUND` where the server is to be asked before anything is written */
  assertNobodyWaits(): void {
    if (this.#request.getHeader('expect') === undefined) return
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      'request: it waits for 100 Continue before its body, and its hop token is bound to that: send it without Expect (K-BODY)',
    )
  }

  /**
   * Takes the arguments of `write`, or of `end`, and calls its writer back: what he wrote is as good as sent.
   *
   * @returns the arguments to be called with when the time has come; `null` for what is written as one of {@link chunks}
   * @throws {KestError} `ERR_KEST_OUTBOUND` for more than may be kept
   */
  take(args: readonly unknown[], isLast: boolean): readonly unknown[] | null {
    const [chunk, encoding] = args
    const bytes = bytesOf(chunk, encoding)
    // Nothing, or what Node will say something about when it comes to it.
    if (bytes === undefined || (bytes.length === 0 && isLast)) return args
    this.#pieces.add(bytes)
    if (this.#pieces.length > this.#limit) throw this.#tooLong()
    const callback = args.find((arg) => typeof arg === 'function') as (() => void) | undefined
    if (isLast) return callback === undefined ? [bytes] : [bytes, callback]
    if (callback !== undefined) process.nextTick(callback)
    return null
  }

  #tooLong(): KestError {
    return new KestError(
      'ERR_KEST_OUTBOUND',
      `request: its hop token is bound to its body, and that has more than ${this.#limit} bytes (hop.maxBodyBytes, K-BODY)`,
    )
  }
}

/** A copy, since whoever wrote it may write into it again; `undefined` for what is no content. */
function bytesOf(chunk: unknown, encoding: unknown): Buffer | undefined {
  if (typeof chunk === 'string')
    return Buffer.from(chunk, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8')
  return chunk instanceof Uint8Array ? Buffer.from(chunk) : undefined
}
