import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { toProblem } from '@kest/core'

/** Where a refused call says its code (K-RPC). */
const ERROR_KEY = 'kest-error'

/** Which status says what an answer over HTTP says (K-RPC). */
const STATUSES: ReadonlyMap<number, status> = new Map([
  [400, status.INVALID_ARGUMENT],
  [401, status.UNAUTHENTICATED],
  [403, status.PERMISSION_DENIED],
  [503, status.UNAVAILABLE],
])

/**
 * What a call ends with that is refused: the status, a fixed sentence for it, and the code in the metadata `kest-error`.
 * Everything else stays with the operator, as in `toProblem`.
 */
export function refusalOf(error: unknown): StatusObject {
  const { status: http, body } = toProblem(error)
  const metadata = new Metadata()
  metadata.set(ERROR_KEY, body.code)
  return { code: STATUSES.get(http) ?? status.INTERNAL, details: body.title, metadata }
}
