import {
  assertOptions,
  createSender,
  type Installed,
  KestConfigError,
  type PropagationRule,
  patchByRule,
  type Unpatch,
} from '@kest/core'
import { fetchThrough } from './kest-fetch.js'

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
  return patchByRule(['patchGlobalFetch', 'the global fetch'], 'kest.fetch.1', options, (enabled) =>
    install(fetchThrough(sender, globalFetch(), enabled)),
  )
}

function globalFetch(): typeof globalThis.fetch {
  if (typeof globalThis.fetch !== 'function')
    throw new KestConfigError('patchGlobalFetch: there is no global fetch')
  return globalThis.fetch
}

function install(fetch: typeof globalThis.fetch): Installed {
  // There is none where it is inherited.
  const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
  const property = {
    value: fetch,
    writable: true,
    configurable: true,
    enumerable: before?.enumerable ?? true,
  }
  if (!Reflect.defineProperty(globalThis, 'fetch', property)) {
    throw new KestConfigError('patchGlobalFetch: the global fetch cannot be replaced')
  }
  const inPlace = (): boolean => globalThis.fetch === fetch
  return {
    inPlace,
    remove() {
      if (!inPlace()) return
      if (before === undefined) Reflect.deleteProperty(globalThis, 'fetch')
      else Object.defineProperty(globalThis, 'fetch', before)
    },
  }
}
