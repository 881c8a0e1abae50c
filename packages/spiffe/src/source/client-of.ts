import { SpiffeError } from '../errors.js'
import { WorkloadApiClient, type WorkloadApiOptions } from '../workload-api/client.js'
import type { FollowOptions } from './followed.js'

/** Where a source asks: a client that is there, or one that it makes and closes. */
export type SourceOptions = FollowOptions &
  (
    | (Omit<WorkloadApiOptions, 'timeoutMs' | 'logger'> & { readonly client?: undefined })
    | {
        /** Is not closed with the source. */
        readonly client: WorkloadApiClient
        readonly address?: undefined
        readonly backoff?: undefined
        readonly maxMessageBytes?: undefined
        readonly keepaliveMs?: undefined
      }
  )

/** The client, and how to be done with it. */
export function clientOf(options: SourceOptions): {
  readonly client: WorkloadApiClient
  readonly done: () => void
} {
  const { client, address, backoff, maxMessageBytes, keepaliveMs, logger } = options
  if (client !== undefined) {
    if ([address, backoff, maxMessageBytes, keepaliveMs].some((option) => option !== undefined)) {
      throw new SpiffeError('ERR_SPIFFE_CONFIG', 'a source takes a client, or the options of one')
    }
    return { client, done: () => {} }
  }
  const own = new WorkloadApiClient({
    ...(address === undefined ? {} : { address }),
    ...(backoff === undefined ? {} : { backoff }),
    ...(maxMessageBytes === undefined ? {} : { maxMessageBytes }),
    ...(keepaliveMs === undefined ? {} : { keepaliveMs }),
    ...(logger === undefined ? {} : { logger }),
  })
  return { client: own, done: () => own.close() }
}
