import { chmod, rm } from 'node:fs/promises'
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { SpiffeError } from '../errors.js'
import { workloadApi } from '../workload-api/service.js'

/** Bytes of a Unix socket's path that every platform takes. */
const MAX_PATH_BYTES = 103

/** A Workload API on one Unix socket, which only its owner may open. It can be stopped and started again. */
export class WorkloadSocket {
  readonly path: string
  readonly #service: UntypedServiceImplementation
  #server: Server | undefined
  /** What was begun last; settles also where it failed. */
  #before: Promise<void> = Promise.resolve()

  /** @throws {SpiffeError} `ERR_SPIFFE_CONFIG` */
  constructor(path: string, service: UntypedServiceImplementation) {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
      throw new SpiffeError(
        'ERR_SPIFFE_CONFIG',
        `development authority: ${path}: longer than the ${MAX_PATH_BYTES} bytes that the path of a socket may have`,
      )
    }
    this.path = path
    this.#service = service
  }

  /** As `SPIFFE_ENDPOINT_SOCKET` has it. */
  get address(): string {
    // A URI has other uses for these.
    return `unix://${this.path.replace(/[%?#]/g, (character) => encodeURIComponent(character))}`
  }

  /** @throws {SpiffeError} `ERR_SPIFFE_DEV_AUTHORITY` */
  start(): Promise<void> {
    return this.#inTurn(() => this.#start())
  }

  /** Breaks off every stream, and takes the socket away. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#stop())
  }

  /** One after the other: who stops what is starting would find nothing yet. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#before.then(work)
    this.#before = done.catch(() => undefined)
    return done
  }

  async #start(): Promise<void> {
    if (this.#server !== undefined) return
    const server = new Server()
    server.addService(workloadApi, this.#service)
    try {
      await new Promise<void>((resolve, reject) => {
        server.bindAsync(`unix:${this.path}`, ServerCredentials.createInsecure(), (error) =>
          error === null ? resolve() : reject(error),
        )
      })
      await chmod(this.path, 0o600)
    } catch (cause) {
      server.forceShutdown()
      throw new SpiffeError(
        'ERR_SPIFFE_DEV_AUTHORITY',
        `development authority: ${this.path} cannot be listened on`,
        {
          cause,
        },
      )
    }
    this.#server = server
  }

  async #stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    server?.forceShutdown()
    if (server !== undefined) await rm(this.path, { force: true })
  }
}
