import { Frame } from '../context/frame.js'
import type { AboutRequest } from '../context/request-facts.js'
import { KestError, PassportVerificationError } from '../errors.js'
import { describeError } from '../telemetry/describe-error.js'
import { remedyOf } from '../telemetry/remedy.js'
import { UNPROVEN_ORIGIN } from '../trust/reserved.js'
import type { InboundLineage } from './inbound-lineage.js'
import type { ListenerDeps } from './listener.js'

/**
 * What goes on instead of a request whose lineage would be answered 403, where the deployment only observes that (K-OBSERVE): one
 * that came without any. Of what it brought nothing is left.
 *
 * @throws `refused` itself, where it is enforced, and whatever else is refused: what is malformed, a token, what cannot be decided
 */
export function insteadOf(refused: unknown, deps: ListenerDeps): InboundLineage {
  if (!(refused instanceof KestError) || refused.statusCode !== 403 || !observesLineage(deps)) throw refused
  return {
    frame: new Frame(),
    origin: UNPROVEN_ORIGIN,
    identity: null,
    claimed: null,
    baggage: {},
    observed: refused,
  }
}

export function observesLineage({ observations, identity }: ListenerDeps): boolean {
  return observations?.ofLineage(identity) !== undefined
}

/** The request goes on, and its operator learns why it would not have. */
export function reportObserved(
  refused: KestError,
  { refusals, onObserved }: ListenerDeps,
  about: AboutRequest | undefined,
): void {
  const { code } = refused
  onObserved?.(code)
  const message = 'inbound request would be refused, which is only observed (K-OBSERVE)'
  refusals.refused({ code, message }, () => {
    const { index, entryId } =
      refused instanceof PassportVerificationError ? refused : { index: undefined, entryId: undefined }
    return { ...about?.(), index, entry_id: entryId, err: describeError(refused), remedy: remedyOf(refused) }
  })
}
