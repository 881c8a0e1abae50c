import { CallCredentials, Metadata } from '@grpc/grpc-js'
import type { Dispatch } from './dispatch.js'

type Options = Parameters<CallCredentials['generateMetadata']>[0]

/**
 * The passport as credentials of a call, which gRPC asks for each attempt, and waits for with deadline and cancellation. Other
 * credentials, of the call and of the channel, are asked within: what those say of `baggage` is judged as well.
 */
export class PassportCredentials extends CallCredentials {
  readonly #dispatch: Dispatch
  readonly #others: CallCredentials | undefined

  constructor(dispatch: Dispatch, others: CallCredentials | undefined) {
    super()
    this.#dispatch = dispatch
    this.#others = others
  }

  override async generateMetadata(options: Options): Promise<Metadata> {
    const attempt = this.#dispatch.attempt()
    const given = await this.#others?.generateMetadata(options)
    return this.#dispatch.metadata(given ?? new Metadata(), attempt)
  }

  override compose(other: CallCredentials): CallCredentials {
    return new PassportCredentials(this.#dispatch, this.#others?.compose(other) ?? other)
  }

  override _equals(other: CallCredentials): boolean {
    return this === other
  }
}
