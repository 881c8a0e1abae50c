/** Where the time comes from; replaceable in tests. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}

export const systemClock: Clock = Object.freeze({ now: () => Date.now() })

/**
 * A time that ages are told by: it never goes back, and is never slower than `clock` or, where that is the system's, than
 * the time since the process began. A clock that is set back does not make what is old young; one that is set forward
 * makes it older, which is the safe side.
 */
export function ageClock(clock: Clock): Clock {
  const steady = clock === systemClock ? () => performance.now() : () => clock.now()
  let now = 0
  let lastTime = clock.now()
  let lastSteady = steady()
  return Object.freeze({
    now: (): number => {
      const time = clock.now()
      const steadily = steady()
      now += Math.max(time - lastTime, steadily - lastSteady, 0)
      lastTime = time
      lastSteady = steadily
      return now
    },
  })
}
