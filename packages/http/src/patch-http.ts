import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { assertOptions, createSender, type PropagationRule, patchByRule, type Unpatch } from '@kest/core'
import { patchAgents } from './agent-patch.js'
import { patchHttp2 } from './http2-patch.js'
import { type Module, patchModule } from './module-patch.js'

/**
 * Lets the requests of `node:http`, `node:https` and `node:http2` carry the passport (F-CP-03), to the origins that are named
 * and to no other (K-SCOPE): `request` and `get` of the first two, however they are imported, whatever goes through one of
 * Node's agents, and the streams of sessions of HTTP/2. So do axios, got, node-fetch, superagent, the SDKs of clouds, proxies, and `ws`.
 *
 * What has to be waited for holds a request back. One that must not be sent is destroyed with a `KestError`, before a byte of
 * it was sent. HTTP/2 can hold nothing back: there `session.request` throws, `ERR_KEST_OUTBOUND` for what would have to be waited for.
 *
 * The process has these modules once, and so one rule. Patching again by the same rule changes nothing, and is undone when
 * everyone who asked has undone theirs. Undoing gives back what was there; what others have wrapped passes everything on.
 *
 * @param options.propagateTo which origins receive the passport; required
 * @param options.hop whether each request carries a token of the sender (K-HOP); default `false`
 * @param options.kest default: the instance of `configure()`, as it is at the time of each request
 * @param options.redirects whether redirects are followed with a passport; default `'refuse'`
 * @returns a function that undoes it, also by `using`
 * @throws {KestConfigError} for options that are missing, unknown or wrong; when it is patched by another rule
 *
 * @example
 * ```ts
 * const unpatch = patchHttp({ propagateTo: ['http://hop2:8000', 'https://*.svc.local'] })
 * ```
 */
export function patchHttp(options: PropagationRule): Unpatch {
  assertOptions('patchHttp', options, ['propagateTo', 'hop', 'kest', 'redirects'])
  const sender = createSender(options)
  return patchByRule(['patchHttp', 'node:http'], 'kest.http.1', options, (enabled) => {
    const installed = [
      ...patchModule(http as unknown as Module, sender, enabled),
      ...patchModule(https as unknown as Module, sender, enabled),
      patchAgents(sender, enabled),
      ...patchHttp2(sender, enabled),
    ]
    syncBuiltinESMExports()
    return {
      inPlace: () => installed.every((each) => each.inPlace()),
      remove() {
        for (const each of installed) each.remove()
        syncBuiltinESMExports()
      },
    }
  })
}
