import { createHash } from 'node:crypto'

/** Paths of the documents that are asked for together: one list for each question of an operation, in its order. */
export type Combination = readonly (readonly string[])[]

/** The package of Rego in which plans are. */
export const PLAN_PACKAGE = 'kest_plans'

/** Part of each plan's name: another way to write plans has other names. */
const FORMAT = 1

/** The member of a plan's document that says whose it is. */
export const PLAN_MEMBER = 'plan'

/** Words that mean the same as a path of OPA's REST API and as a reference in Rego. A number, `.` and `..` do not. */
const PATH = /^[A-Za-z_][A-Za-z0-9_.:-]*(\/[A-Za-z_][A-Za-z0-9_.:-]*)*$/

/** Whether a document can be part of a plan. One that holds the plans themselves cannot. */
export function isPlannable(path: string): boolean {
  return PATH.test(path) && path.split('/', 1)[0] !== PLAN_PACKAGE
}

/** How many documents there are: of one alone there is nothing to join. */
export function sizeOf(combination: Combination): number {
  return combination.reduce((sum, { length }) => sum + length, 0)
}

/**
 * The name of a plan: a digest of all that it joins, in its order. So no plan is ever taken for that of another combination, nor
 * one of an older list for that of a newer.
 */
export function planName(combination: Combination): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([FORMAT, combination]))
    .digest('hex')
  return `p_${digest.slice(0, 32)}`
}
