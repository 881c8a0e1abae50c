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

export function isDenied(decision: true | Decision): boolean {
  return decision !== true && !decision.allow
}
