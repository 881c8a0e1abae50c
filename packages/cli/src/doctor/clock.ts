import { ask, type Said } from './ask.js'
import { type Finding, finding } from './finding.js'
import { firstOf, OTLP_VARIABLES, type Settings } from './settings.js'

/** A `Date` header has whole seconds. */
const SECOND = 1000
/** What hop tokens may be ahead by default, and what passports may be. */
const DIFFERS_MS = 5_000
const FAR_MS = 60_000

/**
 * How the clock of this host compares with those of the servers that it is told of, as far as the `Date` of their answers
 * can say: between before it was asked and after it answered, within a whole second. What cannot be told apart agrees.
 */
export async function checkClock(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]> {
  const places = placesOf(settings)
  if (places.length === 0) return [finding('clock', 'clock-not-told', 'no server of another host is known')]
  return await Promise.all(
    places.map(async ({ name, url }) => {
      try {
        return judged(name, await ask(url, { signal }))
      } catch (error) {
        if (signal.aborted) throw error
        return finding('clock', 'clock-unknown', `${name} says no time: ${(error as Error).message}`)
      }
    }),
  )
}

/** What listens on a socket is of this host, and has its clock. */
function placesOf({ opa, otlp, front, env }: Settings): { readonly name: string; readonly url: URL }[] {
  const named: readonly (readonly [string, string | URL | null])[] = [
    ['OPA', opa === null || opa.socketPath !== undefined ? null : opa.url],
    ['the receiver of OTLP', otlp ?? firstOf(env, OTLP_VARIABLES)],
    ['the server in front', front],
  ]
  return named.flatMap(([name, url]) =>
    url !== null && URL.canParse(`${url}`) && /^https?:$/.test(new URL(url).protocol)
      ? [{ name, url: new URL(url) }]
      : [],
  )
}

function judged(name: string, { date, askedAt, heardAt }: Said): Finding {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return finding('clock', 'clock-unknown', `${name} says no time`)
  const [least, most] = [theirs - heardAt, theirs + SECOND - askedAt]
  const apart = Math.max(0, least, -most)
  const whole = Math.floor(apart / 1000)
  if (apart === 0) return finding('clock', 'clock-agrees', `${name} has the same time, to a second`)
  const side = least > 0 ? 'behind' : 'ahead of'
  const message = `this clock is ${whole < 1 ? 'less than a second' : `${whole} s or more`} ${side} that of ${name}`
  if (apart >= FAR_MS) return finding('clock', 'clock-far', message)
  return finding('clock', apart >= DIFFERS_MS ? 'clock-differs' : 'clock-agrees', message)
}
