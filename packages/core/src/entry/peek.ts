// Within a string a quote is escaped: what these find is a member, though not always of the object that is meant.
const LABELS = /[{,]"labels":\{/g
const PRINCIPAL = /[{,]"principal":"([^"\\]*)"/g
// No bracket in it: where many lists begin and none ends, each is left at the next.
const PARENTS = /[{,]"parent_ids":\[([^[\]]*)\]/g
const ENTRY_ID = /[{,]"entry_id":"([0-9a-f-]{36})"/

/** What a payload says of itself before it is parsed. Nothing of it is verified, and none of it has been judged. */
export interface Peeked {
  readonly principal: string
  readonly entryId: string | null
}

/**
 * Finds who a payload says it is by, in a fraction of the time that parsing it takes: what it says is wrong is then
 * refused for that alone. Of an entry that is well-formed the answer is `labels.principal`, or none.
 *
 * @param payload canonical JSON, if it is well-formed
 * @returns `undefined` where several members could be meant, or it is written with escapes
 */
export function peek(payload: string): Peeked | undefined {
  LABELS.lastIndex = 0
  if (!LABELS.test(payload)) return undefined
  PRINCIPAL.lastIndex = LABELS.lastIndex - 1
  if (LABELS.test(payload)) return undefined
  const principal = PRINCIPAL.exec(payload)?.[1]
  if (principal === undefined) return undefined
  return { principal, entryId: ENTRY_ID.exec(payload)?.[1] ?? null }
}

/**
 * The parents that a payload of which nothing was judged names.
 * @returns `undefined` where that cannot be said without parsing it
 */
export function claimedParents(jws: string): readonly string[] | undefined {
  const payload = jws.split('.', 2)[1]
  if (payload === undefined) return undefined
  const [found, ...others] = Buffer.from(payload, 'base64url').toString('utf8').matchAll(PARENTS)
  if (found === undefined || others.length > 0) return undefined
  return (found[1] as string).split(',').map((text) => text.slice(1, -1))
}

/**
 * {@link peek} into a compact string of which nothing was judged: the principal that a well-formed entry names.
 * @returns `undefined` where that cannot be said without parsing it
 */
export function claimedPrincipal(jws: string): string | undefined {
  const payload = jws.split('.', 2)[1]
  return payload === undefined
    ? undefined
    : peek(Buffer.from(payload, 'base64url').toString('utf8'))?.principal
}
