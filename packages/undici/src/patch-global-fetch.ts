import { assertOptions, KestConfigError } from '@kest/core'
import { fetchThrough } from './kest-fetch.js'
import { createSender, type PropagationRule } from './sender.js'

/** Undoes a patch. Also for `using`. Idempotent. */
export type Unpatch = (() => void) & Disposable

/** One patched fetch. It lives as long as somebody who asked for it has not undone it. */
interface Patch {
  readonly rule: PropagationRule
  readonly fetch: typeof globalThis.fetch
  /** How the property was before; `undefined` where it was inherited. */
  readonly before: PropertyDescriptor | undefined
  users: number
}

const PATCHES = Symbol.for('kest.fetch.1')

/** All that are in force, the newest last: one list per process, whichever copy of this package comes first. */
const patches = patchesInForce()

/**
 * Lets the global `fetch` carry the passport (F-CP-03), to the origins that are named and to no other (K-SCOPE). For
 * what it covers and what not, see {@link createKestFetch}; `WebSocket`, `EventSource` and undici's `request()` do not
 * go through it: `setGlobalDispatcher(withKest(…))` covers those as well.
 *
 * The process has one global `fetch`, and so one rule. Patching again by the same rule changes nothing, and is undone
 * when everyone who asked has undone theirs; another rule is refused until then. Undoing gives back the `fetch` that
 * was there; if another library has wrapped the patched one meanwhile, it stays where it is and passes everything on.
 *
 * @param options.propagateTo which origins receive the passport; required
 * @param options.hop whether each request carries a token of the sender (K-HOP); default `false`
 * @param options.kest default: the instance of `configure()`, as it is at the time of each request
 * @param options.redirects whether redirects are followed with a passport; default `'refuse'`
 * @returns a function that undoes it, also by `using`
 * @throws {KestConfigError} for options that are missing, unknown or wrong; when `fetch` is patched by another rule;
 *   when there is no global `fetch`, or it cannot be replaced
 *
 * @example
 * ```ts
 * const unpatch = patchGlobalFetch({ propagateTo: ['http://hop2:8000', 'https://*.svc.local'] })
 * ```
 */
export function patchGlobalFetch(options: PropagationRule): Unpatch {
  assertOptions('patchGlobalFetch', options, ['propagateTo', 'hop', 'kest', 'redirects'])
  const sender = createSender(options)
  const newest = patches.at(-1)
  if (newest !== undefined && !sameRule(newest.rule, options)) {
    throw new KestConfigError(
      'patchGlobalFetch: the global fetch is patched by another rule; undo that, or name all origins in one',
    )
  }
  if (newest !== undefined && newest.fetch === globalThis.fetch) {
    newest.users++
    return undoing(newest)
  }

  const original: unknown = globalThis.fetch
  if (typeof original !== 'function') throw new KestConfigError('patchGlobalFetch: there is no global fetch')
  const patch: Patch = {
    rule: snapshot(options),
    fetch: fetchThrough(sender, original as typeof globalThis.fetch, () => patch.users > 0),
    before: Object.getOwnPropertyDescriptor(globalThis, 'fetch'),
    users: 1,
  }
  const enumerable = patch.before?.enumerable ?? true
  const property = { value: patch.fetch, writable: true, configurable: true, enumerable }
  if (!Reflect.defineProperty(globalThis, 'fetch', property)) {
    throw new KestConfigError('patchGlobalFetch: the global fetch cannot be replaced')
  }
  patches.push(patch)
  return undoing(patch)
}

function patchesInForce(): Patch[] {
  const slot = globalThis as { [key: symbol]: Patch[] | undefined }
  slot[PATCHES] ??= []
  return slot[PATCHES]
}

function undoing(patch: Patch): Unpatch {
  let done = false
  function unpatch(): void {
    if (done) return
    done = true
    patch.users--
    if (patch.users === 0) remove(patch)
  }
  return Object.assign(unpatch, { [Symbol.dispose]: unpatch })
}

function remove(patch: Patch): void {
  patches.splice(patches.indexOf(patch), 1)
  if (globalThis.fetch !== patch.fetch) return
  if (patch.before === undefined) Reflect.deleteProperty(globalThis, 'fetch')
  else Object.defineProperty(globalThis, 'fetch', patch.before)
}

/** The same origins in any order, or the same function; and the same instance. */
function sameRule(a: PropagationRule, b: PropagationRule): boolean {
  if (a.kest !== b.kest || (a.hop ?? false) !== (b.hop ?? false)) return false
  if ((a.redirects ?? 'refuse') !== (b.redirects ?? 'refuse')) return false
  if (typeof a.propagateTo === 'function' || typeof b.propagateTo === 'function') {
    return a.propagateTo === b.propagateTo
  }
  const [ours, theirs] = [new Set(a.propagateTo), new Set(b.propagateTo)]
  return ours.size === theirs.size && [...ours].every((origin) => theirs.has(origin))
}

function snapshot({ propagateTo, ...rest }: PropagationRule): PropagationRule {
  return { propagateTo: typeof propagateTo === 'function' ? propagateTo : [...propagateTo], ...rest }
}
