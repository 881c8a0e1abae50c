/** The query by which OPA says of a decision which bundles it has come from. */
export const PROVENANCE = '?provenance=true'

/** A document that OPA has answered, and the texts that it came from. */
export interface Answered {
  /** `undefined` where it has no value. */
  readonly document: unknown
  /** `undefined` where OPA cannot say. */
  readonly revision: readonly string[] | undefined
}

/**
 * Which bundles a decision came from, as OPA says it of that very decision. Each is `opa:bundle:<name>@<revision>`: both are names, which
 * whoever builds the bundle chooses. What was asked for under another path than its name is `opa:bundle-mapped:…`.
 *
 * @returns `undefined` where a bundle has no revision, or policies are in none
 */
export function revisionOf(provenance: unknown, mapped: boolean): readonly string[] | undefined {
  if (typeof provenance !== 'object' || provenance === null) return undefined
  const { bundles, revision } = provenance as { readonly bundles?: unknown; readonly revision?: unknown }
  const scheme = `opa:${mapped ? 'bundle-mapped' : 'bundle'}:`
  // How one bundle without a name was configured once.
  if (typeof revision === 'string' && revision !== '') return [`${scheme}@${revision}`]
  if (typeof bundles !== 'object' || bundles === null) return undefined
  const found: string[] = []
  for (const [name, bundle] of Object.entries(bundles)) {
    const { revision: own } = (bundle ?? {}) as { readonly revision?: unknown }
    if (typeof own !== 'string' || own === '') return undefined
    found.push(`${scheme}${name}@${own}`)
  }
  return found.length === 0 ? undefined : found
}

/** All texts of several answers; `undefined` where one of them does not say. */
export function together(all: readonly Answered[]): readonly string[] | undefined {
  if (all.length === 1) return all[0]?.revision
  const found = new Set<string>()
  for (const { revision } of all) {
    if (revision === undefined) return undefined
    for (const one of revision) found.add(one)
  }
  return [...found]
}
