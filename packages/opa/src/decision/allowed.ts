import type { Decision } from '@kest/core'

/** That one more policy allows, with what it says beside it. */
export function alsoAllowed(
  before: true | Decision,
  policy: string,
  reason: string | undefined,
): true | Decision {
  if (reason === undefined) return before
  const said = `${policy}: ${reason}`
  return { allow: true, reason: before === true ? said : `${before.reason}; ${said}` }
}

/** A decision with the texts that it came from; as it is, where these are not known. */
export function decidedBy(
  decision: true | Decision,
  revision: readonly string[] | undefined,
): true | Decision {
  if (revision === undefined) return decision
  return decision === true ? { allow: true, revision } : { ...decision, revision }
}

export function isDenied(decision: true | Decision): boolean {
  return decision !== true && !decision.allow
}
