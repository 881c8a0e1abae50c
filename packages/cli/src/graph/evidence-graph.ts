import { readEntries } from '@kest/audit'
import {
  type Evidence,
  KestError,
  keySourcesOf,
  parseEvidence,
  type TrustDocument,
  verifyEvidence,
} from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { every } from '../audit/one-trace.js'
import { InputError } from '../files/input-error.js'
import { visible } from '../terminal/escape.js'
import { graphOf, type LineageGraph } from './lineage-graph.js'
import { BROKEN, CONSISTENT } from './verdict.js'

/** Whether a text is an evidence file, right or wrong, and not an export. */
export function isEvidence(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'format' in value && 'passport' in value
  } catch {
    return false
  }
}

/**
 * The picture of an evidence file.
 *
 * @param own trust material of one's own (K-ANCHOR); without, the entries are only shown to be consistent with the file's keys
 * @throws {InputError} when it is no evidence, or its keys cannot be used
 */
export async function evidenceGraph(
  text: string,
  file: string,
  own: TrustDocument | undefined,
): Promise<LineageGraph> {
  const evidence = attempt(file, () => parseEvidence(text))
  const trust = attempt(file, () => keySourcesOf(own ?? evidence.trust, { x509: createX509KeySource }))
  const denials = evidence.denials.map(({ jws }) => jws)
  const source = readEntries(evidence.passport.entries, file, denials)
  const { at, roots } = evidence
  const traces = await every(source, { trust, at, ...(roots === null ? {} : { roots }) })
  return graphOf(traces, await verdictOf(evidence, own), own !== undefined)
}

async function verdictOf(evidence: Evidence, own: TrustDocument | undefined): Promise<string> {
  try {
    const { anchored } = await verifyEvidence(evidence, {
      x509: createX509KeySource,
      ...(own === undefined ? {} : { trust: own }),
    })
    return anchored ? 'verified' : CONSISTENT
  } catch (error) {
    if (error instanceof KestError) return `${BROKEN}: ${visible(error.message)}`
    throw error
  }
}

function attempt<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof KestError) throw new InputError(`${file}: ${cause.message}`, { cause })
    throw cause
  }
}
