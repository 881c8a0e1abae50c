import { create } from '@bufbuild/protobuf'
import {
  type CallOptions,
  Client,
  type ClientReadableStream,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { type Logger, Outages, onAbort, stderrLogger } from '@kest/core'
import { assertKnown } from '../assert-known.js'
import { assertDuration } from '../duration.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId } from '../id/spiffe-id.js'
import { type JwtSvid, parseJwtSvid } from '../svid/jwt-svid.js'
import { parseWorkloadApiAddress } from './address.js'
import { type Backoff, createBackoff } from './backoff.js'
import { credentialsForAgent } from './insecure.js'
import { type JwtBundlesState, readJwtBundles } from './jwt-state.js'
import { SECURITY_HEADER, workloadApi } from './service.js'
import { toSpiffeError } from './status.js'
import { type End, type Stop, type Watcher, watch } from './watch.js'
import {
  JWTBundlesRequestSchema,
  JWTSVIDRequestSchema,
  ValidateJWTSVIDRequestSchema,
  X509BundlesRequestSchema,
  X509SVIDRequestSchema,
} from './workload_pb.js'
import { readX509Bundles, readX509State, type X509BundlesState, type X509State } from './x509-state.js'

/** How a {@link WorkloadApiClient} is made. */
export interface WorkloadApiOptions {
  /** `unix:///run/spire/agent.sock`, `tcp://127.0.0.1:8081`. Default: the environment variable `SPIFFE_ENDPOINT_SOCKET`. */
  readonly address?: string
  /** Makes the waits between attempts, one for each thing that is followed. Default {@link createBackoff}. */
  readonly backoff?: () => Backoff
  /** Of one call that is not a stream. Default 10,000 ms. */
  readonly timeoutMs?: number
  /**
   * How often the server is asked whether it still lives, while something is followed; one that does not answer within
   * 20 s has broken off. gRPC servers in Go, SPIRE's agent among them, allow it every five minutes and end the connection
   * of whoever asks more often. Default 310,000 ms.
   */
  readonly keepaliveMs?: number
  /** Of one message. Default 4,194,304. */
  readonly maxMessageBytes?: number
  /** Hears of streams that break off. Default: standard error. */
  readonly logger?: Logger
}

/** For a call that answers once. */
export interface CallLimits {
  readonly signal?: AbortSignal
  /** Default: that of the client. */
  readonly timeoutMs?: number
}

const OPTIONS: readonly (keyof WorkloadApiOptions)[] = [
  'address',
  'backoff',
  'timeoutMs',
  'maxMessageBytes',
  'keepaliveMs',
  'logger',
]
const CALL_LIMITS: readonly (keyof CallLimits)[] = ['signal', 'timeoutMs']
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
const TIMEOUT_MS = 10_000
const KEEPALIVE_MS = 310_000
/** The longest that a server that hangs is waited for. */
const KEEPALIVE_TIMEOUT_MS = 20_000

/**
 * A client of the SPIFFE Workload API: from an agent on this machine, identities for this process and the bundles to
 * verify those of others. It opens no connection before it is asked something.
 *
 * What it follows keeps no process alive, nor does a connection; a call that is waited for does.
 *
 * It is the wire; {@link X509Source}, {@link BundleSource} and {@link JWTSource} are what an application wants.
 */
export class WorkloadApiClient {
  readonly #client: Client
  readonly #address: string
  readonly #outages: Outages
  readonly #options: Required<Pick<WorkloadApiOptions, 'backoff' | 'timeoutMs' | 'logger'>>
  readonly #streams = new Set<End>()
  /** Calls that answer once, under way. */
  readonly #calls = new Set<{ cancel(): void }>()
  #closed = false

  /** @throws {SpiffeError} `ERR_SPIFFE_ADDRESS`, `ERR_SPIFFE_CONFIG` */
  constructor(options: WorkloadApiOptions = {}) {
    assertKnown('WorkloadApiClient', options, OPTIONS)
    const {
      timeoutMs = TIMEOUT_MS,
      maxMessageBytes = MAX_MESSAGE_BYTES,
      keepaliveMs = KEEPALIVE_MS,
    } = options
    assertDuration('keepaliveMs', keepaliveMs)
    for (const [name, value] of Object.entries({ timeoutMs, maxMessageBytes })) {
      if (Number.isSafeInteger(value) && value > 0) continue
      throw new SpiffeError(
        'ERR_SPIFFE_CONFIG',
        `Workload API: ${name}: expected a positive integer, got ${value}`,
      )
    }
    this.#options = {
      timeoutMs,
      backoff: options.backoff ?? createBackoff,
      logger: options.logger ?? stderrLogger,
    }
    this.#address = parseWorkloadApiAddress(options.address)
    this.#outages = new Outages(this.#options.logger)
    this.#client = new Client(this.#address, credentialsForAgent(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      // A server that hangs breaks off nothing: without asking, it would be believed for ever.
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': Math.min(keepaliveMs, KEEPALIVE_TIMEOUT_MS),
      // Never by way of a proxy that the environment names.
      'grpc.enable_http_proxy': 0,
      // How long to wait is for our backoff to say; without a pool of its own, other clients' failures would.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 50,
      'grpc.service_config_disable_resolution': 1,
    })
  }

  /** Follows the identities of this workload, and the bundles that come with them. */
  watchX509(watcher: Watcher<X509State>): Stop {
    return this.#watch(workloadApi.fetchX509SVID, create(X509SVIDRequestSchema), readX509State, watcher)
  }

  /** Follows bundles alone, for a process that verifies others and has no identity of its own. */
  watchX509Bundles(watcher: Watcher<X509BundlesState>): Stop {
    return this.#watch(
      workloadApi.fetchX509Bundles,
      create(X509BundlesRequestSchema),
      readX509Bundles,
      watcher,
    )
  }

  /** Follows the keys of JWT-SVIDs. */
  watchJwtBundles(watcher: Watcher<JwtBundlesState>): Stop {
    return this.#watch(workloadApi.fetchJWTBundles, create(JWTBundlesRequestSchema), readJwtBundles, watcher)
  }

  /**
   * Fetches JWT-SVIDs of this workload, the default identity's first.
   *
   * @param request.audience who they are for; one is best
   * @param request.id only that identity's
   * @throws {SpiffeError} `ERR_SPIFFE_JWT_SVID` for one that is not for that audience or breaks a rule;
   *   `ERR_SPIFFE_RESPONSE`, `ERR_SPIFFE_DENIED`, `ERR_SPIFFE_REFUSED`, `ERR_SPIFFE_UNAVAILABLE`, `ERR_SPIFFE_TIMEOUT`,
   *   `ERR_SPIFFE_ABORTED`, `ERR_SPIFFE_CLOSED`
   */
  async fetchJwtSvids(
    request: { readonly audience: string | readonly string[]; readonly id?: SpiffeId },
    limits: CallLimits = {},
  ): Promise<readonly JwtSvid[]> {
    assertKnown('fetchJwtSvids', request, ['audience', 'id'])
    assertKnown('fetchJwtSvids', limits, CALL_LIMITS)
    const audience = typeof request.audience === 'string' ? [request.audience] : [...request.audience]
    if (audience.length === 0 || audience.includes('')) {
      throw new SpiffeError('ERR_SPIFFE_CONFIG', 'JWT-SVID: an audience is needed')
    }
    const message = create(JWTSVIDRequestSchema, { audience, spiffeId: request.id?.toString() ?? '' })
    const { svids } = await this.#call(workloadApi.fetchJWTSVID, message, limits)
    if (svids.length === 0)
      throw new SpiffeError('ERR_SPIFFE_RESPONSE', 'Workload API: FetchJWTSVID: no SVID')
    return svids.map((item) => {
      const svid = parseJwtSvid(item.svid, { audience, hint: item.hint })
      if (svid.id.toString() === item.spiffeId && (request.id === undefined || svid.id.equals(request.id)))
        return svid
      throw new SpiffeError(
        'ERR_SPIFFE_RESPONSE',
        `Workload API: FetchJWTSVID: a token of ${svid.id} came in place of another's`,
      )
    })
  }

  /**
   * Lets the agent verify a JWT-SVID. {@link verifyJwtSvid} does it here, with bundles.
   *
   * @returns whose it is, and its claims
   * @throws {SpiffeError} `ERR_SPIFFE_JWT_SVID` when the agent says that it does not hold; otherwise as
   *   {@link WorkloadApiClient.fetchJwtSvids}
   */
  async validateJwtSvid(
    request: { readonly token: string; readonly audience: string },
    limits: CallLimits = {},
  ): Promise<{ readonly id: SpiffeId; readonly claims: Readonly<Record<string, unknown>> }> {
    assertKnown('validateJwtSvid', limits, CALL_LIMITS)
    const message = create(ValidateJWTSVIDRequestSchema, { svid: request.token, audience: request.audience })
    try {
      const { spiffeId, claims } = await this.#call(workloadApi.validateJWTSVID, message, limits)
      return { id: SpiffeId.parse(spiffeId), claims: claims ?? {} }
    } catch (error) {
      // For this call, InvalidArgument is the answer "it does not hold".
      if (!(error instanceof SpiffeError) || error.code !== 'ERR_SPIFFE_REFUSED') throw error
      throw new SpiffeError('ERR_SPIFFE_JWT_SVID', 'JWT-SVID: the Workload API says that it does not hold', {
        cause: error,
      })
    }
  }

  /** Ends every stream, of which whoever watches is told, every call (`ERR_SPIFFE_CLOSED`, both), and the connection. Idempotent. */
  close(): void {
    this.#closed = true
    for (const end of this.#streams) end(closed())
    this.#streams.clear()
    for (const call of this.#calls) call.cancel()
    this.#outages.close()
    this.#client.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #watch<I, M, T>(
    method: MethodDefinition<I, M>,
    request: I,
    read: (message: M) => T,
    watcher: Watcher<T>,
  ): Stop {
    if (this.#closed) throw closed()
    const { backoff, logger } = this.#options
    const open = (): ClientReadableStream<M> =>
      this.#client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata(),
      )
    const call = callOf(method)
    const following = { call, address: this.#address, open, read, backoff: backoff() }
    const end = watch({ ...following, logger, outages: this.#outages }, watcher)
    this.#streams.add(end)
    return () => {
      this.#streams.delete(end)
      end()
    }
  }

  #call<I, O>(method: MethodDefinition<I, O>, request: I, { signal, timeoutMs }: CallLimits): Promise<O> {
    const call = callOf(method)
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closed()
      if (signal?.aborted) throw aborted(call, signal.reason)
      const options: CallOptions = { deadline: Date.now() + (timeoutMs ?? this.#options.timeoutMs) }
      let leave = (): void => {}
      const answer = (error: ServiceError | null, response?: O): void => {
        leave()
        this.#calls.delete(running)
        if (signal?.aborted) reject(aborted(call, signal.reason))
        else if (error !== null) reject(this.#closed ? closed() : toSpiffeError(error, call, this.#address))
        else resolve(response as O)
      }
      const running = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata(),
        options,
        answer,
      )
      this.#calls.add(running)
      if (signal) leave = onAbort(signal, () => running.cancel())
    })
  }
}

function metadata(): Metadata {
  const metadata = new Metadata()
  metadata.set(SECURITY_HEADER, 'true')
  return metadata
}

function callOf({ path }: { readonly path: string }): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function closed(): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CLOSED', 'the client of the Workload API was closed')
}

function aborted(call: string, cause: unknown): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_ABORTED', `Workload API: ${call}: the caller gave up`, { cause })
}
