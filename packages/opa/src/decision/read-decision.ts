import { type Decision, KestConfigError } from '@kest/core'

/** What a document of Rego decides; `null` when it is no decision at all. */
export type DecisionReader = (document: unknown) => Decision | null

/** The reason why a policy denies that has no value: no rule of it holds, or there is no such policy. */
export const UNDEFINED = 'undefined'

/**
 * Reads decisions out of documents. A document decides by being a boolean, or an object with a boolean `allow`; beside it
 * may stand a `reason`, a string or several. One that is undefined, or an object without `allow`, denies: no rule held.
 *
 * @param path members that lead to the decision, like `authz.permit`; empty for the document itself
 * @throws {KestConfigError} for a path that is none
 */
export function createDecisionReader(where: string, path = ''): DecisionReader {
  const members = path === '' ? [] : typeof path === 'string' ? path.split('.') : ['']
  if (members.includes('')) {
    throw new KestConfigError(
      `${where}.decisionPath: expected members like "authz.permit", got ${String(path)}`,
    )
  }
  return (document) => {
    let beside: unknown
    let value = document
    for (const member of members) {
      if (value === undefined) break
      if (!isObject(value)) return null
      beside = value
      value = own(value, member)
    }
    if (isObject(value)) {
      beside = value
      value = own(value, 'allow')
    }
    if (value === undefined) return { allow: false, reason: reasonOf(beside) ?? UNDEFINED }
    if (typeof value !== 'boolean') return null
    const reason = reasonOf(beside)
    return reason === undefined ? { allow: value } : { allow: value, reason }
  }
}

/** Sets of Rego come as lists. */
function reasonOf(object: unknown): string | undefined {
  const reason = isObject(object) ? own(object, 'reason') : undefined
  const reasons = Array.isArray(reason) ? reason : [reason]
  const texts = reasons.filter((one) => typeof one === 'string' && one !== '')
  return texts.length === 0 ? undefined : texts.join('; ')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(object: Readonly<Record<string, unknown>>, member: string): unknown {
  return Object.hasOwn(object, member) ? object[member] : undefined
}
