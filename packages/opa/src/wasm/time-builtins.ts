/** A function of Rego that the host provides. Its arguments and what it answers are JSON; `undefined` is undefined there too. */
export type Builtin = (...args: never[]) => unknown

const NS_PER_MS = 1e6

/**
 * The part of Rego's `time` that says what time it is where: `now_ns`, `clock`, `date`, `weekday`. Compiled policies
 * have none by themselves.
 *
 * @param now milliseconds since the epoch
 */
export function createTimeBuiltins(now: () => number): Readonly<Record<string, Builtin>> {
  return {
    'time.now_ns': () => now() * NS_PER_MS,
    'time.clock': (moment: Moment) => {
      const { hour, minute, second } = partsOf(moment)
      return [Number(hour), Number(minute), Number(second)]
    },
    'time.date': (moment: Moment) => {
      const { year, month, day } = partsOf(moment)
      return [Number(year), Number(month), Number(day)]
    },
    'time.weekday': (moment: Moment) => partsOf(moment).weekday,
  }
}

/** Nanoseconds since the epoch, in UTC; or such and a name of the time zone database. */
type Moment = number | readonly [ns: number, zone: string, ...rest: unknown[]]

type Part = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'weekday'

const FORMATS = new Map<string, Intl.DateTimeFormat>()
/** Names are the policy's, so that there are few; unless it takes them from its input. */
const MOST_FORMATS = 64

function partsOf(moment: Moment): Readonly<Record<Part, string>> {
  const [ns, zone] = typeof moment === 'number' ? [moment, 'UTC'] : moment
  const parts = formatOf(zone || 'UTC').formatToParts(Math.floor(ns / NS_PER_MS))
  return Object.fromEntries(parts.map(({ type, value }) => [type, value])) as Record<Part, string>
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = FORMATS.get(zone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      weekday: 'long',
    })
    if (FORMATS.size >= MOST_FORMATS) FORMATS.clear()
    FORMATS.set(zone, format)
  }
  return format
}
