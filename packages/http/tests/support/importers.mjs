/**
 * A service whose modules take node:http each in its own way, some before it is patched. Prints the names of the ways, in
 * the order in which the two servers were called.
 *
 * node importers.mjs <origin in scope> <origin of a stranger>
 */

import * as namespace from 'node:http'
/**
 * A service whose modules take node:http each in its own way, some before it is patched. Prints the names of the ways, in
 * the order in which the two servers were called.
 *
 * node importers.mjs <origin in scope> <origin of a stranger>
 */
import fallback, { get, request } from 'node:http'
import { createRequire } from 'node:module'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { patchHttp } from '@kest/http'

const require = createRequire(import.meta.url)
/** As older libraries spell it. */
const BARE = 'http'
const { request: captured } = require(BARE)
const kest = createKest({ identity: new MockIdentityProvider('hop1'), engine: new MockPolicyEngine() })
const [hop2, stranger] = process.argv.slice(2)

const unpatch = patchHttp({ kest, propagateTo: [hop2] })
const later = await import('node:http')
const ways = {
  named: (url) => request(url),
  'named-get': (url) => get(url),
  namespace: (url) => namespace.request(url),
  default: (url) => fallback.request(url),
  later: (url) => later.request(url),
  require: (url) => require('node:http').request(url),
  'require-without-scheme': (url) => require(BARE).get(url),
  builtin: (url) => process.getBuiltinModule('node:http').request(url),
  captured: (url) => captured(url),
  constructor: (url) => new fallback.ClientRequest(url),
}

const call = (make, url) =>
  new Promise((resolve, reject) => {
    make(url)
      .on('error', reject)
      .on('response', (response) => response.resume().on('end', resolve))
      .end()
  })

const begun = await kest.begin({ operation: 'orders.list', policy: 'test', origin: 'system' })
await begun.run(async () => {
  for (const [name, make] of Object.entries(ways)) {
    for (const origin of [hop2, stranger]) await call(make, `${origin}/${name}`)
  }
})
unpatch()
process.stdout.write(JSON.stringify(Object.keys(ways)))
process.exit(0)
