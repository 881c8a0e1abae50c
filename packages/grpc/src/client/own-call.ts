import {
  type Deadline,
  InterceptingCall,
  type InterceptingListener,
  type Metadata,
  type NextCall,
  status,
} from '@grpc/grpc-js'
import type { InContext } from '@kest/core'
import type { Dispatch } from './dispatch.js'
import { HeldAnswer } from './held-answer.js'

type Context = Parameters<InterceptingCall['sendMessageWithContext']>[0]

/**
 * A call whose listeners and callbacks run where it was made: gRPC runs them in the context of whoever opened the
 * connection, or of whatever let a waiting call go (K-STATE).
 */
export class OwnCall extends InterceptingCall {
  readonly #inContext: InContext
  readonly #dispatch: Dispatch
  readonly #deadline: number
  #answer: HeldAnswer | undefined

  constructor(
    call: ReturnType<NextCall>,
    inContext: InContext,
    dispatch: Dispatch,
    deadline: Deadline = Number.POSITIVE_INFINITY,
  ) {
    super(call)
    this.#inContext = inContext
    this.#dispatch = dispatch
    this.#deadline = Number(deadline)
  }

  override start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    const dispatch = this.#dispatch
    const told: InterceptingListener = {
      onReceiveMetadata: (received) => listener.onReceiveMetadata?.(received),
      onReceiveMessage: (message) => listener.onReceiveMessage?.(message),
      onReceiveStatus: (ended) => listener.onReceiveStatus?.(dispatch.explain(ended)),
    }
    const asking = {
      deadline: this.#deadline,
      arrived: (values: readonly string[], attempts: number) => dispatch.arrived(values, attempts),
      cancel: ({ message }: Error) => super.cancelWithStatus(status.CANCELLED, message),
      refusal: (error: Error) => dispatch.refusal(error),
    }
    this.#answer = new HeldAnswer(told, this.#inContext, asking)
    super.start(dispatch.take(metadata), this.#answer)
  }

  override cancelWithStatus(code: status, details: string): void {
    super.cancelWithStatus(code, details)
    this.#answer?.stop(code, details)
  }

  override sendMessageWithContext({ callback, ...context }: Context, message: unknown): void {
    const bound = callback && ((error?: Error | null) => this.#inContext(() => callback(error)))
    super.sendMessageWithContext({ ...context, ...(bound && { callback: bound }) }, message)
  }
}
