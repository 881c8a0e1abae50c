import { jsonLine } from '../terminal/escape.js'
import { tipHashes, type Verdict } from './verdict.js'

/** One line for one file (SPEC §9.1). */
export function verdictJson(verdict: Verdict): string {
  const { file, ok } = verdict
  if (!verdict.ok) {
    const { code, index, entryId, message } = verdict
    return jsonLine({ file, ok, code, index, entry_id: entryId, message })
  }
  const { anchored, passport, denials } = verdict
  return jsonLine({
    file,
    ok,
    anchored,
    entries: passport.entries.length,
    tips: tipHashes(verdict),
    principals: passport.principals,
    trust_score: passport.trustScore,
    taints: passport.taints,
    ...(denials.length === 0 ? {} : { denials: denials.map(({ denial }) => denial) }),
    findings: passport.findings.map(({ kind, code, index, entryId, message }) => ({
      kind,
      code,
      index,
      entry_id: entryId,
      message,
    })),
  })
}
