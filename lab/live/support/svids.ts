import { readFileSync } from 'node:fs'
import { DEFAULT_LIMITS, parseEntry } from '@kest/core'
import { CHAIN, principalOf, type Service } from '../../src/chain.js'

/** The certificates, base64, that services signed by last, as their entries show. */
export function leavesIn(spansFile: string): ReadonlyMap<Service, string> {
  const leaves = new Map<Service, string>()
  const text = readFileSync(spansFile, 'latin1').slice(-200_000)
  for (const [jws] of text.matchAll(/(?<=")eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+(?=")/g)) {
    const { header, entry } = parseEntry(jws, { limits: DEFAULT_LIMITS })
    const [leaf] = header.x5c ?? []
    const service = CHAIN.find((name) => principalOf(name) === entry.labels['principal'])
    if (leaf !== undefined && service !== undefined) leaves.set(service, leaf)
  }
  return leaves
}

/** The certificate, base64, that an entry was signed by. */
export function leafOf(jws: string): string | undefined {
  return parseEntry(jws, { limits: DEFAULT_LIMITS }).header.x5c?.[0]
}
