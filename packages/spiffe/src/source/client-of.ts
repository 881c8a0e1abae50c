import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import { WorkloadApiClient, type WorkloadApiOptions } from '../workload-api/client.js'
import { FOLLOW_OPTIONS, type FollowOptions } from './followed.js'

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

const OPTIONS: readonly string[] = [
  ...FOLLOW_OPTIONS,
  'client',
  'address',
  'backoff',
  'maxMessageBytes',
  'keepaliveMs',
]

/**
 * The client, and how to be done with it.
 * @param others names of options that the source has beside those of all
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG`, `ERR_SPIFFE_ADDRESS`
 */
export function clientOf(
  where: string,
  options: SourceOptions,
  others: readonly string[] = [],
): {
  readonly client: WorkloadApiClient
  readonly done: () => void
} {
  assertKnown(where, options, [...OPTIONS, ...others])
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
