import {
  credentials,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import {
  BaggageManager,
  createKest,
  createKeySource,
  type IdentityProvider,
  type Kest,
  type KestOptions,
  type Signer,
} from '@kest/core'
import {
  type MockDecisions,
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '@kest/core/testing'
import { type KestGrpcOptions, kestGrpc } from '../../src/index.js'
import { Echo, EchoClient, type Handle, implementation } from './echo.js'

/** Every method by one policy. */
export const METHODS = { '/kest.test.Echo/*': { policy: 'test' } } as const

/** A service under test, and what became of the calls to it. */
export class World {
  readonly engine: MockPolicyEngine
  readonly logger = new RecordingLogger()
  readonly kest: Kest
  /** How many entries were signed. */
  signed = 0
  /** How many messages reached a handler. */
  ran = 0
  readonly #open: (() => void)[] = []

  constructor(decisions: MockDecisions = true, options: Partial<KestOptions> = {}) {
    this.engine = new MockPolicyEngine(decisions)
    const gateway = new MockIdentityProvider('gateway')
    this.kest = createKest({
      identity: this.#counting(new MockIdentityProvider('orders')),
      engine: this.engine,
      trust: createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] }),
      logger: this.logger,
      policyTimeoutMs: 300_000,
      ...options,
    })
  }

  /** Serves all four forms; answers with the address. */
  serve(
    options: Partial<KestGrpcOptions> = {},
    handle: Handle = (message) => message,
    others: readonly ServerInterceptor[] = [],
  ): Promise<string> {
    const counted: Handle = (message, call) => {
      this.ran++
      return handle(message, call)
    }
    const kest = kestGrpc({ kest: this.kest, methods: METHODS, ...options })
    return this.listen([kest, ...others], Echo, implementation(counted))
  }

  async listen(
    interceptors: ServerInterceptor[],
    service: ServiceDefinition,
    methods: UntypedServiceImplementation,
  ): Promise<string> {
    const server = new Server({ interceptors })
    server.addService(service, methods)
    this.onClose(() => server.forceShutdown())
    return `127.0.0.1:${await bind(server)}`
  }

  /** A client with a connection of its own. */
  client(address: string, options: ConstructorParameters<typeof EchoClient>[2] = {}): EchoClient {
    const client = new EchoClient(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    })
    this.onClose(() => client.close())
    return client
  }

  onClose(close: () => void): void {
    this.#open.unshift(close)
  }

  async close(): Promise<void> {
    for (const close of this.#open.splice(0)) close()
    await this.kest.close()
  }

  #counting(identity: MockIdentityProvider): IdentityProvider {
    const signer = identity.current()
    const counting: Signer = {
      ...signer,
      sign: (input) => {
        this.signed++
        return signer.sign(input)
      },
    }
    return { getWorkloadId: () => identity.getWorkloadId(), current: () => counting }
  }
}

export function bind(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
}

const gateway = createKest({
  identity: new MockIdentityProvider('gateway'),
  engine: new MockPolicyEngine(),
  logger: new RecordingLogger(),
})
const writer = new BaggageManager()

/** The member that carries the lineage of a gateway that acts for somebody. */
export async function lineage(user = 'alice'): Promise<string> {
  const { state } = await gateway.begin({ operation: 'gateway', policy: 'test', origin: 'user_input', user })
  return (await writer.write(state.frame.lineage)) ?? ''
}

/** A promise and the function that fulfils it. (`Promise.withResolvers` is not in Node 20.) */
export function deferred<T = void>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve: (value) => resolve(value) }
}
