import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { type Installed, replaceMethod, type Sender } from '@kest/core'
import { propagatedHeaders } from './http2-propagating.js'
import { noteRoute } from './session-route.js'

type Connect = (...args: readonly unknown[]) => ClientHttp2Session
export type RequestStream = (
  this: ClientHttp2Session,
  headers?: unknown,
  options?: unknown,
  ...rest: readonly unknown[]
) => ClientHttp2Stream

/** Of Node's sessions; it does not show their class. */
let prototype: Record<'request', RequestStream> | undefined

/** Lets the streams of all sessions of node:http2 carry the passport, of those that this connects from now on. */
export function patchHttp2(sender: Sender, enabled: () => boolean): Installed[] {
  prototype ??= sessionPrototype()
  const connect = replaceMethod(
    http2 as unknown as Record<'connect', Connect>,
    'connect',
    enabled,
    (original) =>
      promisifiable((...args) => {
        const session = original(...args)
        // What a mock makes may be nothing of the kind.
        if (typeof session?.request === 'function') noteRoute(session, args)
        return session
      }),
  )
  if (prototype === undefined) return [connect]
  const request = replaceMethod(
    prototype,
    'request',
    enabled,
    (original) =>
      function kestRequest(headers, given, ...rest) {
        const { headers: own, options, watch } = propagatedHeaders(this, headers, given, sender)
        const stream = Reflect.apply(original, this, [own, options, ...rest])
        watch(stream)
        return stream
      },
  )
  return [connect, request]
}

/** Node's own form for `promisify` does not come by the module. */
function promisifiable(connect: Connect): Connect {
  const promisified = (authority: unknown, options?: unknown): Promise<ClientHttp2Session> =>
    new Promise((resolve, reject) => {
      const session = connect(authority, options, () => {
        session.removeListener('error', reject)
        resolve(session)
      })
      session.once('error', reject)
    })
  return Object.assign(connect, { [promisify.custom]: promisified })
}

/** By an object over a connection to nobody, which is put away. `undefined` where a mock makes it. */
function sessionPrototype(): Record<'request', RequestStream> | undefined {
  const nobody = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const session = http2.connect('http://localhost', { createConnection: () => nobody })
  if (typeof session?.request !== 'function') return undefined
  session.on('error', () => {})
  session.destroy()
  return Object.getPrototypeOf(session)
}
