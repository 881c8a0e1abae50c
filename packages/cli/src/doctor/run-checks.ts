import { setTimeout as delay } from 'node:timers/promises'
import { checkClock } from './clock.js'
import { checkCollector } from './collector.js'
import { checkEngine } from './engine.js'
import { CHECKS, type Check, type Finding, finding } from './finding.js'
import { checkHeaders } from './headers.js'
import { checkIdentity } from './identity.js'
import { checkPropagators } from './propagators.js'
import type { Settings } from './settings.js'

interface Look {
  /** What it says something of. */
  readonly checks: readonly Check[]
  run(settings: Settings, signal: AbortSignal): Promise<readonly Finding[]>
}

const LOOKS: readonly Look[] = [
  { checks: ['identity', 'trust'], run: checkIdentity },
  { checks: ['engine', 'policies'], run: checkEngine },
  { checks: ['collector'], run: checkCollector },
  { checks: ['clock'], run: checkClock },
  { checks: ['headers'], run: checkHeaders },
  { checks: ['propagators'], run: checkPropagators },
]

/** All checks at once, each within its time; what becomes of one changes nothing for the others. In their order. */
export async function runChecks(settings: Settings): Promise<readonly Finding[]> {
  const found = await Promise.all(LOOKS.map((look) => inTime(look, settings)))
  return found.flat().sort((one, other) => CHECKS.indexOf(one.check) - CHECKS.indexOf(other.check))
}

async function inTime({ checks, run }: Look, settings: Settings): Promise<readonly Finding[]> {
  const { timeoutMs } = settings
  const done = new AbortController()
  const late = new AbortController()
  const over = delay(timeoutMs, undefined, { signal: done.signal }).then(() => {
    late.abort()
    const message = `no answer within ${timeoutMs / 1000} s`
    return checks.map((check) => finding(check, 'timed-out', message))
  })
  over.catch(() => undefined)
  const looked = run(settings, late.signal).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error)
    return late.signal.aborted ? over : checks.map((check) => finding(check, 'broke-off', message))
  })
  try {
    return await Promise.race([over, looked])
  } finally {
    done.abort()
  }
}
