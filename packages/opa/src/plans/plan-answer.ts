import { type Combination, PLAN_MEMBER } from './format.js'

/** Documents as a plan answers them, by question; `undefined` for one that has no value. */
export type Documents = readonly (readonly unknown[])[]

/**
 * Reads the document of a plan: its own name, and a member for each document that has a value.
 *
 * @returns `null` for anything else
 */
export function readPlanAnswer(document: unknown, name: string, combination: Combination): Documents | null {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return null
  const members = new Map<string, unknown>(Object.entries(document))
  if (members.get(PLAN_MEMBER) !== name) return null
  members.delete(PLAN_MEMBER)
  let place = 0
  const documents = combination.map((paths) =>
    paths.map(() => {
      const member = String(place++)
      const value = members.get(member)
      members.delete(member)
      return value
    }),
  )
  return members.size === 0 ? documents : null
}
