import { countMembers } from '../entry/json-members.js'
import { memo } from '../entry/memo.js'
import { KestError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'

const MEMBERS: readonly string[] = ['agent', 'task', 'user']

/** The label `kest.identity`: RFC 8785 of `{agent, task, user}`, each a string or null (K-IDENT). */
export function formatIdentityLabel({ agent, task, user }: IdentityContext): string {
  return `{"agent":${JSON.stringify(agent)},"task":${JSON.stringify(task)},"user":${JSON.stringify(user)}}`
}

/**
 * Reads the label `kest.identity`. Peers may spell the JSON otherwise than {@link formatIdentityLabel}, and leave out
 * what is null; the values are what counts.
 *
 * @throws {KestError} `ERR_KEST_ENTRY_SCHEMA` for anything but an object whose members are `agent`, `task`, `user`,
 *   once each at most, strings (without lone surrogates) or null.
 */
export function parseIdentityLabel(text: string): IdentityContext {
  return parse(text)
}

/** Entries of one request mostly carry the same. */
const parse = memo(256, (text: string): IdentityContext => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw malformed('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('it is no object')
  const members = Object.entries(value)
  if (members.length !== countMembers(text)) throw malformed('a member occurs twice')
  const identity: Record<string, string | null> = { user: null, agent: null, task: null }
  for (const [name, part] of members) {
    if (!MEMBERS.includes(name)) throw malformed(`it has a member ${JSON.stringify(name)}`)
    if (part !== null && (typeof part !== 'string' || /\p{Surrogate}/u.test(part))) {
      throw malformed(`"${name}" is neither text nor null`)
    }
    identity[name] = part
  }
  return Object.freeze(identity) as unknown as IdentityContext
})

/** Whether two statements say the same; nobody stated (null) differs from every statement. */
export function sameIdentity(a: IdentityContext | null, b: IdentityContext | null): boolean {
  if (a === null || b === null) return a === b
  return a === b || (a.user === b.user && a.agent === b.agent && a.task === b.task)
}

function malformed(why: string, cause?: unknown): KestError {
  const options = cause === undefined ? {} : { cause }
  return new KestError('ERR_KEST_ENTRY_SCHEMA', `label kest.identity is malformed: ${why}`, options)
}
