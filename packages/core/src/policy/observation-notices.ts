import type { Clock } from '../clock.js'
import type { Logger } from '../telemetry/logger.js'
import { isInForce, type Observation } from './observation.js'

/** How long before its end an operator is told once more. */
const SOON_MS = 7 * 86_400_000

/** What an operator is told, by how far an observation has come. */
const NOTICES = [
  'REFUSALS ARE OBSERVED, NOT ENFORCED, until this observation ends (K-OBSERVE)',
  'an observation ends in less than a week: from then on what it names is enforced (K-OBSERVE)',
  'an observation has expired: what it names is enforced (K-OBSERVE)',
] as const

/** Says of each observation that it is in force, that it ends soon, and that it is over: each once, and anew when it is loaded again. */
export class ObservationNotices {
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #said = new WeakMap<Observation, number>()

  constructor(file: string, clock: Clock, logger: Logger) {
    this.#file = file
    this.#clock = clock
    this.#logger = logger
  }

  look(observations: readonly Observation[] = []): void {
    const now = this.#clock.now()
    for (const observation of observations) {
      const phase = phaseOf(observation, now)
      if (phase <= (this.#said.get(observation) ?? -1)) continue
      this.#said.set(observation, phase)
      const { expiresAt, ...details } = observation
      const expires = new Date(expiresAt).toISOString()
      this.#logger.warn({ file: this.#file, ...details, expires }, NOTICES[phase])
    }
  }
}

function phaseOf(observation: Observation, now: number): 0 | 1 | 2 {
  if (!isInForce(observation, now)) return 2
  return observation.expiresAt - now < SOON_MS ? 1 : 0
}
