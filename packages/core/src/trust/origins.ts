import { KestConfigError } from '../errors.js'
import { isReserved } from './reserved.js'

/** Trust that data begins with, by where it comes from (F-TS-02). Fixed by the protocol. */
export const DEFAULT_ORIGINS: Readonly<Record<string, number>> = Object.freeze({
  system: 100,
  internal: 100,
  verified_rag: 90,
  third_party_api: 60,
  user_input: 40,
  internet: 10,
  llm: 0,
})

/** The trust of an origin that nobody declared (SPEC §5). */
export const UNKNOWN_ORIGIN_SCORE = 10

/** Origin → trust. */
export interface OriginMap {
  /** Integer 0…100; that of an unknown origin is {@link UNKNOWN_ORIGIN_SCORE}. */
  score(origin: string): number
  /** Origins that have a score of their own. */
  readonly names: ReadonlySet<string>
}

/**
 * The protocol's origins, and one's own beside them.
 *
 * @param custom origin → integer 0…100
 * @throws {KestConfigError} when a default is redefined, a name is empty or begins with `kest.` (K-RESERVED), or a score is no integer of 0…100.
 */
export function createOriginMap(custom: Readonly<Record<string, number>> = {}): OriginMap {
  const scores = new Map(Object.entries(DEFAULT_ORIGINS))
  for (const [origin, score] of Object.entries(custom)) {
    if (Object.hasOwn(DEFAULT_ORIGINS, origin)) {
      throw new KestConfigError(
        `origins: "${origin}" is fixed by the protocol and cannot be redefined (F-TS-02)`,
      )
    }
    if (isReserved(origin))
      throw new KestConfigError(
        `origins: "${origin}": names that begin with "kest." are reserved (K-RESERVED)`,
      )
    if (origin === '') throw new KestConfigError('origins: an origin has a name')
    if (!Number.isInteger(score) || score < 0 || score > 100) {
      throw new KestConfigError(`origins: "${origin}": expected an integer 0…100, got ${String(score)}`)
    }
    scores.set(origin, score)
  }
  return Object.freeze({
    names: new Set(scores.keys()),
    score: (origin: string): number => scores.get(origin) ?? UNKNOWN_ORIGIN_SCORE,
  })
}

/**
 * For an origin that an operator wrote down: a misspelled one would be trusted with {@link UNKNOWN_ORIGIN_SCORE}, and
 * nobody would see why. One that is found out at a call may be anything (SPEC §5).
 *
 * @throws {KestConfigError} naming the origins that there are
 */
export function assertKnownOrigin(where: string, origin: string, { names }: OriginMap): void {
  if (names.has(origin)) return
  throw new KestConfigError(
    `${where}: unknown origin ${JSON.stringify(origin)}; there are: ${[...names].join(', ')}. ` +
      `Declare one of your own with its trust: configure({ origins: { ${JSON.stringify(origin)}: 0…100 } })`,
  )
}
