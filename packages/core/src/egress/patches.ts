import { isDeepStrictEqual } from 'node:util'
import { resolveHop } from '../binding/bound-request.js'
import { KestConfigError } from '../errors.js'
import type { PropagationRule } from './sender.js'

/** Undoes a patch. Also for `using`. Idempotent. */
export type Unpatch = (() => void) & Disposable

/** What a patch has put where everybody calls it. */
export interface Installed {
  /** Whether all of it is still there, and not beneath something of others. */
  inPlace(): boolean
  /** Gives back what was there, as far as it is still in place. What others have wrapped passes everything on from now on. */
  remove(): void
}

/** One patch in force. It lives as long as somebody who asked for it has not undone it. */
interface Patch {
  readonly rule: PropagationRule
  readonly installed: Installed
  users: number
}

/**
 * Patches what there is once in a process, and so by one rule. Patching again by the same rule changes nothing, and is
 * undone when everyone who asked has undone theirs; another rule is refused until then.
 *
 * @param where the function that is called, and what it patches, for messages
 * @param slot of what is patched, shared by all copies of a package in the process
 * @param install puts it in place; it acts as long as `enabled()`
 * @throws {KestConfigError} when it is patched by another rule
 */
export function patchByRule(
  where: readonly [caller: string, what: string],
  slot: string,
  rule: PropagationRule,
  install: (enabled: () => boolean) => Installed,
): Unpatch {
  const patches = patchesInForce(Symbol.for(slot))
  const newest = patches.at(-1)
  if (newest !== undefined && !sameRule(newest.rule, rule)) {
    const [caller, what] = where
    throw new KestConfigError(
      `${caller}: ${what} is patched by another rule; undo that, or name all origins in one`,
    )
  }
  if (newest?.installed.inPlace() === true) {
    newest.users++
    return undoing(newest, patches)
  }
  const patch: Patch = { rule: snapshot(rule), installed: install(() => patch.users > 0), users: 1 }
  patches.push(patch)
  return undoing(patch, patches)
}

/** What makes a function look like the one that it stands for: name, length, and whatever a library has put on it. */
export function ownProperties(fn: (...args: never) => unknown): PropertyDescriptorMap {
  const { prototype: _, ...properties } = Object.getOwnPropertyDescriptors(fn) as PropertyDescriptorMap
  return properties
}

/** All that are in force, the newest last. */
function patchesInForce(slot: symbol): Patch[] {
  const slots = globalThis as { [key: symbol]: Patch[] | undefined }
  slots[slot] ??= []
  return slots[slot]
}

function undoing(patch: Patch, patches: Patch[]): Unpatch {
  let done = false
  function unpatch(): void {
    if (done) return
    done = true
    patch.users--
    if (patch.users > 0) return
    patches.splice(patches.indexOf(patch), 1)
    patch.installed.remove()
  }
  return Object.assign(unpatch, { [Symbol.dispose]: unpatch })
}

/** The same origins in any order, or the same function; and the same instance. */
function sameRule(a: PropagationRule, b: PropagationRule): boolean {
  if (a.kest !== b.kest || !isDeepStrictEqual(resolveHop('hop', a.hop), resolveHop('hop', b.hop)))
    return false
  if ((a.redirects ?? 'refuse') !== (b.redirects ?? 'refuse')) return false
  if (typeof a.propagateTo === 'function' || typeof b.propagateTo === 'function') {
    return a.propagateTo === b.propagateTo
  }
  const [ours, theirs] = [new Set(a.propagateTo), new Set(b.propagateTo)]
  return ours.size === theirs.size && [...ours].every((origin) => theirs.has(origin))
}

function snapshot({ propagateTo, hop, ...rest }: PropagationRule): PropagationRule {
  return {
    propagateTo: typeof propagateTo === 'function' ? propagateTo : [...propagateTo],
    hop: typeof hop === 'object' ? { ...hop, bind: [...hop.bind] } : hop,
    ...rest,
  }
}
