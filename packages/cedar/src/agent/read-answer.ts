import type { CedarAnswer } from '../refusal.js'

/**
 * The agent's answer: `{ "decision": "Allow" | "Deny", "diagnostics": { "reason": […], "errors": […] } }`, of which only the
 * decision must be there.
 *
 * @returns `undefined` for anything else
 */
export function readAnswer(body: string): CedarAnswer | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    return undefined
  }
  if (!isObject(answer)) return undefined
  const { decision, diagnostics = {} } = answer
  if ((decision !== 'Allow' && decision !== 'Deny') || !isObject(diagnostics)) return undefined
  const { reason = [], errors = [] } = diagnostics
  if (!isTexts(reason) || !isTexts(errors)) return undefined
  return { allow: decision === 'Allow', reasons: reason, errors }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
