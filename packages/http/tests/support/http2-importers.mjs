/**
 * A service whose modules take node:http2 each in its own way, some before it is patched. Prints the names of the ways, in
 * the order in which the two servers were called.
 *
 * node http2-importers.mjs <origin in scope> <origin of a stranger>
 */
import * as namespace from 'node:http2'
import fallback, { connect } from 'node:http2'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { patchHttp } from '@kest/http'

const require = createRequire(import.meta.url)
/** As older libraries spell it. */
const BARE = 'http2'
const { connect: captured } = require(BARE)
const kest = createKest({ identity: new MockIdentityProvider('hop1'), engine: new MockPolicyEngine() })
const [hop2, stranger] = process.argv.slice(2)

const unpatch = patchHttp({ kest, propagateTo: [hop2] })
const later = await import('node:http2')
const ways = {
  named: (url) => connect(url),
  namespace: (url) => namespace.connect(url),
  default: (url) => fallback.connect(url),
  later: (url) => later.connect(url),
  require: (url) => require('node:http2').connect(url),
  'require-without-scheme': (url) => require(BARE).connect(url),
  builtin: (url) => process.getBuiltinModule('node:http2').connect(url),
  promisified: (url) => promisify(connect)(url),
  captured: (url) => captured(url),
}

async function call(open, origin, path) {
  const session = await open(origin)
  await new Promise((resolve, reject) => {
    session.on('error', reject)
    session
      .request({ ':path': path, baggage: 'kest.user=eve' })
      .on('error', reject)
      .on('response', function () {
        this.resume().on('end', resolve)
      })
  })
  session.close()
}

const begun = await kest.begin({ operation: 'orders.list', policy: 'test', origin: 'system' })
await begun.run(async () => {
  for (const [name, open] of Object.entries(ways)) {
    for (const origin of [hop2, stranger]) await call(open, origin, `/${name}`)
  }
})
unpatch()
process.stdout.write(JSON.stringify(Object.keys(ways)))
process.exit(0)
