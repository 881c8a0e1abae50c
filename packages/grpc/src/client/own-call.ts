import { InterceptingCall, type InterceptingListener, type Metadata, type NextCall } from '@grpc/grpc-js'
import type { InContext } from '@kest/core'
import type { Dispatch } from './dispatch.js'

type Context = Parameters<InterceptingCall['sendMessageWithContext']>[0]

/**
 * A call whose listeners and callbacks run where it was made: gRPC runs them in the context of whoever opened the
 * connection, or of whatever let a waiting call go (K-STATE).
 */
export class OwnCall extends InterceptingCall {
  readonly #inContext: InContext
  readonly #dispatch: Dispatch

  constructor(call: ReturnType<NextCall>, inContext: InContext, dispatch: Dispatch) {
    super(call)
    this.#inContext = inContext
    this.#dispatch = dispatch
  }

  override start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    const inContext = this.#inContext
    super.start(this.#dispatch.take(metadata), {
      onReceiveMetadata: (received) => inContext(() => listener.onReceiveMetadata?.(received)),
      onReceiveMessage: (message) => inContext(() => listener.onReceiveMessage?.(message)),
      onReceiveStatus: (status) =>
        inContext(() => listener.onReceiveStatus?.(this.#dispatch.explain(status))),
    })
  }

  override sendMessageWithContext({ callback, ...context }: Context, message: unknown): void {
    const bound = callback && ((error?: Error | null) => this.#inContext(() => callback(error)))
    super.sendMessageWithContext({ ...context, ...(bound && { callback: bound }) }, message)
  }
}
