import type { Socket } from 'node:net'
import { type buildConnector, Client, type Dispatcher, Pool } from 'undici'

/** A socket, and whether it brought an answer before. */
export interface Line {
  readonly socket: Socket
  used: boolean
}

/** Who wants to know over which connection it goes. */
export interface Traveller {
  goesBy(connection: Connection): void
}

/** What is dispatched, and whom to tell where. */
export interface Sending extends Dispatcher.DispatchOptions {
  readonly traveller: Traveller
}

/** One connection of a pool. Undici opens a new socket for it where the old one was closed. */
export class Connection extends Client {
  readonly #current: { line: Line | undefined }

  constructor(origin: URL, { connect, ...options }: Client.Options) {
    const current: { line: Line | undefined } = { line: undefined }
    super(origin, {
      ...options,
      connect: (to, done) => {
        current.line = undefined
        const connector = connect as buildConnector.connector
        connector(to, (...[error, socket]: buildConnector.CallbackArgs) => {
          if (error === null) {
            current.line = { socket, used: false }
            done(null, socket)
          } else done(error, null)
        })
      },
    })
    this.#current = current
  }

  /** What it goes over now, if that is open. */
  get line(): Line | undefined {
    const { line } = this.#current
    return line?.socket.destroyed === false ? line : undefined
  }

  override dispatch(options: Sending, handler: Dispatcher.DispatchHandler): boolean {
    options.traveller.goesBy(this)
    return super.dispatch(options, handler)
  }
}

/**
 * Connections to one place, each of which carries one question at a time. Time-outs are the deadline's alone.
 * They are kept open, but for those of `fresh`, which carry one question each.
 */
export class Connections {
  readonly kept: Pool
  readonly fresh: Pool

  constructor(origin: string, options: Pick<Pool.Options, 'connect' | 'connections'>) {
    const own = { ...options, headersTimeout: 0, bodyTimeout: 0 }
    this.kept = new Pool(origin, {
      ...own,
      factory: (to, each) => new Connection(to, each as Client.Options),
    })
    this.fresh = new Pool(origin, own)
  }

  async destroy(): Promise<void> {
    await Promise.all([this.kept.destroy(), this.fresh.destroy()])
  }
}
