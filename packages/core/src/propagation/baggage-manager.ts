import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Lineage } from '../passport/lineage.js'
import { type BaggageLines, parseBaggage, stripKest } from './baggage.js'
import { type PropagationOptions, type ResolvedPropagation, resolvePropagation } from './options.js'
import { type DecodedMembers, decodeMembers } from './restore.js'
import { writeBaggage } from './write.js'

/** What a `baggage` header held. */
export interface ReadBaggage extends DecodedMembers {
  /** The members of others, exactly as written. */
  readonly foreign: readonly string[]
}

/**
 * A lineage to the value of a `baggage` header, and back: the codec, the three tiers and the claim check together.
 *
 * It neither verifies what it reads nor decides who may receive what it writes: that is the work of
 * {@link verifyPassport} and of {@link createOutbound}.
 *
 * @example
 * ```ts
 * const baggage = new BaggageManager({ cache })
 * headers.baggage = await baggage.write(lineage, headers.baggage)
 * const { passport, tip } = await baggage.read(request.headers.baggage)
 * ```
 */
export class BaggageManager {
  readonly options: ResolvedPropagation

  /** @throws {KestConfigError} for options of the wrong form */
  constructor(config: PropagationOptions = {}) {
    this.options = resolvePropagation(config)
  }

  /**
   * Takes a header apart and restores the passport in it.
   * @throws {KestError} what {@link parseBaggage} and {@link decodeMembers} throw
   */
  read(lines: BaggageLines): MaybePromise<ReadBaggage> {
    const { kest, foreign } = parseBaggage(lines, { maxLength: this.options.maxInboundLength })
    const decoded = decodeMembers(kest, this.options)
    return isPromise(decoded) ? decoded.then((members) => ({ ...members, foreign })) : { ...decoded, foreign }
  }

  /**
   * The whole value of a header: what others had written into `existing`, and the lineage instead of every `kest.*`
   * member that was there. With an empty lineage, only what others had written.
   *
   * @returns `undefined` when nothing is left to send
   * @throws {KestError} what {@link writeBaggage} throws; the request must not be sent then
   */
  write(lineage: Lineage, existing?: BaggageLines): MaybePromise<string | undefined> {
    const written = writeBaggage(lineage, stripKest(existing).foreign, this.options)
    return isPromise(written) ? written.then(({ header }) => header) : written.header
  }
}
