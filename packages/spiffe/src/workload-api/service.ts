import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { MethodDefinition } from '@grpc/grpc-js'
import { SpiffeWorkloadAPI } from './workload_pb.js'

/** Every request carries it, so that no browser or proxy can be made to send one (SPIFFE Workload Endpoint §6.2). */
export const SECURITY_HEADER = 'workload.spiffe.io'

/** The five calls, as grpc-js wants them: for the client, and for a server (`new Server().addService(workloadApi, …)`). */
export const workloadApi = {
  fetchX509SVID: definition(SpiffeWorkloadAPI.method.fetchX509SVID),
  fetchX509Bundles: definition(SpiffeWorkloadAPI.method.fetchX509Bundles),
  fetchJWTSVID: definition(SpiffeWorkloadAPI.method.fetchJWTSVID),
  fetchJWTBundles: definition(SpiffeWorkloadAPI.method.fetchJWTBundles),
  validateJWTSVID: definition(SpiffeWorkloadAPI.method.validateJWTSVID),
} as const

function definition<I extends DescMessage, O extends DescMessage>(
  method: Pick<DescMethod, 'name' | 'methodKind'> & { readonly input: I; readonly output: O },
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const { name, input, output } = method
  return {
    path: `/${SpiffeWorkloadAPI.typeName}/${name}`,
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestSerialize: (message) => Buffer.from(toBinary(input, message)),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(output, message)),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
    originalName: name,
  }
}

/** An empty request. */
export function emptyRequest<T extends DescMessage>(schema: T): MessageShape<T> {
  return create(schema)
}
