import { create } from '@bufbuild/protobuf'
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { SpiffeError } from '../errors.js'
import { verifyJwtSvid } from '../svid/jwt-svid.js'
import { SECURITY_HEADER } from '../workload-api/service.js'
import {
  type JWTBundlesRequest,
  type JWTBundlesResponse,
  JWTBundlesResponseSchema,
  type JWTSVIDRequest,
  type JWTSVIDResponse,
  JWTSVIDResponseSchema,
  type ValidateJWTSVIDRequest,
  type ValidateJWTSVIDResponse,
  ValidateJWTSVIDResponseSchema,
  type X509BundlesRequest,
  type X509BundlesResponse,
  X509BundlesResponseSchema,
  type X509SVIDRequest,
  type X509SVIDResponse,
  X509SVIDResponseSchema,
} from '../workload-api/workload_pb.js'
import { issueJwtSvid } from './authority.js'
import type { Changes } from './changes.js'
import type { Trust } from './trust.js'
import type { Workload } from './workload.js'

const NO_IDENTITY = 'no identity issued'

/** An answer that is not one: what a caller gets instead (SPIFFE Workload API §3). */
class Refusal extends Error {
  constructor(
    readonly code: status,
    message: string,
  ) {
    super(message)
  }
}

/** The Workload API as one workload sees it (SPIFFE Workload API §5, §6). */
export function createService(
  workload: Workload,
  trust: Trust,
  jwtTtlMs: number,
): UntypedServiceImplementation {
  const changes = [workload.changes, trust.changes]

  const fetchX509SVID: handleServerStreamingCall<X509SVIDRequest, X509SVIDResponse> = (call) =>
    follow(call, changes, () => {
      const bundle = trust.x509()
      const svids = identified(workload).map(({ id, certificates, pkcs8, hint }) => ({
        spiffeId: id.toString(),
        x509Svid: certificates,
        x509SvidKey: pkcs8,
        bundle,
        hint,
      }))
      return create(X509SVIDResponseSchema, { svids, federatedBundles: trust.federatedX509() })
    })

  const fetchX509Bundles: handleServerStreamingCall<X509BundlesRequest, X509BundlesResponse> = (call) =>
    follow(call, changes, () => {
      identified(workload)
      const bundles = { ...trust.federatedX509(), [trust.trustDomain.id().toString()]: trust.x509() }
      return create(X509BundlesResponseSchema, { bundles })
    })

  const fetchJWTBundles: handleServerStreamingCall<JWTBundlesRequest, JWTBundlesResponse> = (call) =>
    follow(call, changes, () => {
      identified(workload)
      return create(JWTBundlesResponseSchema, { bundles: trust.jwt() })
    })

  const fetchJWTSVID: handleUnaryCall<JWTSVIDRequest, JWTSVIDResponse> = (call, callback) =>
    answer(call.metadata, callback, async () => {
      const { audience, spiffeId } = call.request
      if (audience.length === 0 || audience.includes(''))
        throw new Refusal(status.INVALID_ARGUMENT, 'an audience must be given')
      const wanted = identified(workload).filter(({ id }) => spiffeId === '' || id.toString() === spiffeId)
      if (wanted.length === 0) throw new Refusal(status.PERMISSION_DENIED, NO_IDENTITY)
      const [authority] = trust.own
      if (authority === undefined) throw new Refusal(status.UNAVAILABLE, 'there is no authority')
      const svids = wanted.map(async ({ id, hint }) => ({
        spiffeId: id.toString(),
        svid: await issueJwtSvid(authority, id, audience, jwtTtlMs),
        hint,
      }))
      return create(JWTSVIDResponseSchema, { svids: await Promise.all(svids) })
    })

  const validateJWTSVID: handleUnaryCall<ValidateJWTSVIDRequest, ValidateJWTSVIDResponse> = (
    call,
    callback,
  ) =>
    answer(call.metadata, callback, async () => {
      const { audience, svid } = call.request
      if (audience === '' || svid === '')
        throw new Refusal(status.INVALID_ARGUMENT, 'an audience and an SVID must be given')
      identified(workload)
      try {
        const { id, claims } = await verifyJwtSvid(svid, trust, { audience })
        return create(ValidateJWTSVIDResponseSchema, {
          spiffeId: id.toString(),
          claims: JSON.parse(JSON.stringify(claims)),
        })
      } catch (error) {
        if (error instanceof SpiffeError) throw new Refusal(status.INVALID_ARGUMENT, error.message)
        throw error
      }
    })

  return { fetchX509SVID, fetchX509Bundles, fetchJWTBundles, fetchJWTSVID, validateJWTSVID }
}

/** @throws {Refusal} `PermissionDenied` while it has no identity */
function identified({ svids }: Workload): Workload['svids'] {
  if (svids.length > 0) return svids
  throw new Refusal(status.PERMISSION_DENIED, NO_IDENTITY)
}

/**
 * Sends the state, and again whenever it changes. Each message is the whole of it, so that a slow reader gets the latest
 * one only. Ends when there is none.
 */
function follow<Q, R>(call: ServerWritableStream<Q, R>, changes: readonly Changes[], state: () => R): void {
  let writable = true
  let behind = false
  const send = (): void => {
    behind = !writable
    if (behind) return
    try {
      writable = call.write(state())
    } catch (error) {
      stop()
      call.emit('error', refusalOf(error))
    }
  }
  const subscriptions = changes.map((change) => change.subscribe(send))
  const stop = (): void => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
  call.on('drain', () => {
    writable = true
    if (behind) send()
  })
  for (const event of ['cancelled', 'close', 'error'] as const) call.on(event, stop)
  try {
    assertSecurityHeader(call.metadata)
    send()
  } catch (error) {
    stop()
    call.emit('error', refusalOf(error))
  }
}

function answer<R>(
  metadata: Metadata,
  callback: Parameters<handleUnaryCall<unknown, R>>[1],
  make: () => Promise<R>,
): void {
  const respond = async (): Promise<R> => {
    assertSecurityHeader(metadata)
    return await make()
  }
  respond().then(
    (response) => callback(null, response),
    (error: unknown) => callback(refusalOf(error)),
  )
}

/** SPIFFE Workload Endpoint §6.2. */
function assertSecurityHeader(metadata: Metadata): void {
  const values = metadata.get(SECURITY_HEADER)
  if (values.length === 1 && values[0] === 'true') return
  throw new Refusal(
    status.INVALID_ARGUMENT,
    `security header "${SECURITY_HEADER}: true" is missing from the request`,
  )
}

function refusalOf(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal(status.INTERNAL, 'the development authority failed')
}
