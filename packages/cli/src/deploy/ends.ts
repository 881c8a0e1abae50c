import type { Deployment } from '@kest/core'
import { timeText } from '../terminal/time-text.js'
import type { Warning } from './warning.js'

const DAY_MS = 86_400_000

/** What is over, and what is so within some days. */
export function endWarnings({ deviations, observe = [] }: Deployment, now: number, days: number): Warning[] {
  const items = [
    ...deviations.map(({ expiresAt }, index) => ({ at: `deviations[${index}]`, expiresAt, effect: EXEMPTS })),
    ...observe.map(({ expiresAt }, index) => ({ at: `observe[${index}]`, expiresAt, effect: ENFORCES })),
  ]
  return items.flatMap(({ at, expiresAt, effect }): Warning[] => {
    if (expiresAt === undefined) return []
    const end = timeText(expiresAt)
    if (expiresAt <= now) return [{ code: 'expired', at, message: `over since ${end}: ${effect}` }]
    if (expiresAt - now > days * DAY_MS) return []
    return [{ code: 'expires-soon', at, message: `ends at ${end}: ${effect} from then on` }]
  })
}

const EXEMPTS = 'it exempts nothing'
const ENFORCES = 'what it names is enforced'
