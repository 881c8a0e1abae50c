import { type Installed, ownProperties } from './patches.js'

type Fn = (...args: never[]) => unknown

/** Of functions that we put somewhere: what is beneath them, and whether they still do anything. */
const replacing = new WeakMap<Fn, { readonly original: Fn; readonly enabled: () => boolean }>()

/**
 * Puts a function in the place of a method, with the name and the properties of that one, but for those that what `make` answers
 * has under a symbol. As long as it is enabled it does what `make` answers, and otherwise what it replaces. Undoing gives back what was beneath, unless others have put theirs
 * over it.
 */
export function replaceMethod<K extends string, F extends Fn>(
  owner: Record<K, F>,
  key: K,
  enabled: () => boolean,
  make: (original: F) => F,
): Installed {
  const original = owner[key]
  const made = make(original)
  function patched(this: unknown, ...args: never[]): unknown {
    return Reflect.apply(enabled() ? made : original, this, args)
  }
  const properties = ownProperties(original)
  for (const symbol of Object.getOwnPropertySymbols(made))
    properties[symbol] = { value: Reflect.get(made, symbol), configurable: true }
  const ours = Object.defineProperties(patched, properties) as Fn as F
  replacing.set(ours, { original, enabled })
  owner[key] = ours
  const inPlace = (): boolean => owner[key] === ours
  return {
    inPlace,
    remove() {
      if (inPlace()) owner[key] = alive(original) as F
    },
  }
}

/** What was undone beneath others’ need not stay when those are gone. */
function alive(fn: Fn): Fn {
  const known = replacing.get(fn)
  return known === undefined || known.enabled() ? fn : alive(known.original)
}
