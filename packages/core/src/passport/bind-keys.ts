import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type FoundKeys, findKeys } from './find-keys.js'
import type { BoundEntry, LinkedEntry } from './stages.js'
import type { VerifyRules } from './verify-options.js'

/** An entry with its keys, or why it has none; an error is answered, so that no promise is left unobserved. */
export type Binding = { readonly bound: BoundEntry } | { readonly error: unknown }

/** The keys of the entry's principal (K-BIND), at its own time or at the one that is fixed (K-TIME). */
export function bindKeys(linked: LinkedEntry, { sources, at }: VerifyRules): MaybePromise<Binding> {
  const { principal, parsed } = linked
  const query = { principal, header: parsed.header, time: at ?? parsed.entry.timestamp_ms }
  const bind = ({ keys, source, generation }: FoundKeys): Binding => ({
    bound: { linked, keys, source, generation },
  })
  try {
    const found = findKeys(query, sources)
    return isPromise(found) ? found.then(bind, (error: unknown) => ({ error })) : bind(found)
  } catch (error) {
    return { error }
  }
}
