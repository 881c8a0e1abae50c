import { DEFAULT_LIMITS, parseEntry } from '@kest/core'
import { runGo, type Verdict } from './go.js'

/** What go-spiffe says about the certificates of each entry, at the time of the entry. */
export function judgeChains(
  passport: readonly string[],
  bundles: Readonly<Record<string, unknown>>,
): Promise<Verdict[]> {
  const chains = passport.map((jws) => {
    const { header, entry } = parseEntry(jws, { limits: DEFAULT_LIMITS })
    return { x5c: header.x5c, time: new Date(entry.timestamp_ms).toISOString() }
  })
  return runGo<Verdict[]>('verify-chains', {}, { bundles, chains })
}
