import { type ServiceError, status } from '@grpc/grpc-js'
import { SpiffeError, type SpiffeErrorCode } from '../errors.js'

/** After these, asking again is of no use (SPIFFE Workload Endpoint, Appendix A). */
const FINAL: readonly number[] = [status.INVALID_ARGUMENT, status.UNIMPLEMENTED]

/** What a gRPC status means here. */
export function toSpiffeError(
  error: Pick<ServiceError, 'code' | 'details' | 'message'>,
  call: string,
  address: string,
): SpiffeError {
  const name = status[error.code] ?? `status ${error.code}`
  const why = `${name}: ${error.details || error.message}`
  return new SpiffeError(codeOf(error), `Workload API: ${call}: ${address}: ${why}`, { cause: error })
}

export function isFinal(error: SpiffeError): boolean {
  return error.code === 'ERR_SPIFFE_REFUSED' || error.code === 'ERR_SPIFFE_CLOSED'
}

function codeOf({ code, details }: Pick<ServiceError, 'code' | 'details'>): SpiffeErrorCode {
  if (FINAL.includes(code)) return 'ERR_SPIFFE_REFUSED'
  if (code === status.PERMISSION_DENIED) return 'ERR_SPIFFE_DENIED'
  if (code === status.DEADLINE_EXCEEDED) return 'ERR_SPIFFE_TIMEOUT'
  if (code === status.RESOURCE_EXHAUSTED && details.includes('larger than max')) return 'ERR_SPIFFE_RESPONSE'
  // grpc-js says so when an answer does not deserialize.
  if (code === status.INTERNAL && details.includes('parsing error')) return 'ERR_SPIFFE_RESPONSE'
  return 'ERR_SPIFFE_UNAVAILABLE'
}
