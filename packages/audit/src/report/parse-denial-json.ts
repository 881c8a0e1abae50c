import { KestError, type Limits, type ParsedDenial, parseDenial } from '@kest/core'
import { type Denial, type DraftedDenial, provenDenial } from '../judge/denial.js'
import { JsonMembers, malformed } from './json-members.js'

/** A denial of a trace, as it was written. What is signed is read from the signature. @throws {KestError} `ERR_KEST_EVIDENCE` */
export function parseDenialJson(untrusted: unknown, limits: Limits): Denial {
  const one = new JsonMembers(untrusted, 'a denial')
  const said: Denial = Object.freeze({
    proof: 'unsigned',
    operation: one.textOrNull('operation'),
    workloadId: one.textOrNull('workload_id'),
    entryId: one.textOrNull('entry_id'),
    code: one.textOrNull('code'),
    reason: one.textOrNull('reason'),
    service: null,
    place: one.text('place'),
    parents: Object.freeze([]),
    signed: null,
  })
  if (!one.flag('signed')) return said
  return provenDenial({
    parsed: signedIn(one.text('denial'), limits),
    said,
    differing: [],
  } satisfies DraftedDenial)
}

function signedIn(signature: string, limits: Limits): ParsedDenial {
  try {
    return parseDenial(signature, limits)
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw malformed(`a denial: ${cause.message}`, cause)
  }
}
