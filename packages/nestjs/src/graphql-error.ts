import { toProblem } from '@kest/core'

/** A refusal as GraphQL's drivers tell it: title and code, nothing more. */
export function toGraphqlError(reason: unknown): Error {
  const { title, code } = toProblem(reason).body
  return Object.assign(new Error(title), { extensions: { code } })
}
