import { types } from 'node:util'
import type { HrTime, TimeInput } from '@opentelemetry/api'

const NANOS = 1_000_000_000

/** Tells the times of one span: none is before its start because the system's clock was set back meanwhile. */
export class Clock {
  readonly start: HrTime
  /** The monotonic clock at the start; `null` when the start was stated. */
  readonly #since: number | null

  constructor(stated: TimeInput | undefined) {
    this.start = stated === undefined ? ofMilliseconds(Date.now()) : ofInput(stated)
    this.#since = stated === undefined ? performance.now() : null
  }

  /** The time that is stated, or now. */
  at(stated: TimeInput | undefined): HrTime {
    if (stated !== undefined) return ofInput(stated)
    if (this.#since === null) return ofMilliseconds(Date.now())
    const [seconds, nanos] = ofMilliseconds(performance.now() - this.#since)
    return carried(this.start[0] + seconds, this.start[1] + nanos)
  }

  static isTime(value: unknown): value is TimeInput {
    return typeof value === 'number' || types.isDate(value) || Array.isArray(value)
  }

  static between(from: HrTime, to: HrTime): HrTime {
    const [seconds, nanos] = carried(to[0] - from[0], to[1] - from[1])
    return seconds < 0 ? [0, 0] : [seconds, nanos]
  }
}

function carried(seconds: number, nanos: number): HrTime {
  if (nanos < 0) return [seconds - 1, nanos + NANOS]
  return nanos >= NANOS ? [seconds + 1, nanos - NANOS] : [seconds, nanos]
}

function ofMilliseconds(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return carried(seconds, Math.round((ms - seconds * 1000) * 1e6))
}

/** A number below the age of this process is one of `performance.now()`, as OpenTelemetry has it. */
function ofInput(time: TimeInput): HrTime {
  if (Array.isArray(time)) return time
  if (types.isDate(time)) return ofMilliseconds(time.getTime())
  return ofMilliseconds(time < performance.timeOrigin ? performance.timeOrigin + time : time)
}
