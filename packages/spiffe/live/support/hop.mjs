// One hop of a chain, in a process of its own: an identity out of a Workload API, and trust out of the same.
// Arguments: the address, the SPIFFE ID of the hop, and the uid to work under (none: the one it has).
// A message is a passport to continue, or null to begin one; the answer is the passport then.
import { createHash } from 'node:crypto'
import { createFunctionEngine, createKest } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'

const [address, id, uid] = process.argv.slice(2)
if (uid !== '') {
  // Only now, when all code is loaded: it may lie where this user cannot read.
  process.setgroups([])
  process.setgid(Number(uid))
  process.setuid(Number(uid))
}

const identity = await SPIREProvider.connect({
  address,
  connectTimeoutMs: 45_000,
  pick: (svids) => svids.find((svid) => svid.id.toString() === id),
})
const kest = createKest({
  identity,
  engine: createFunctionEngine({ 'live/hop': () => true }),
  trust: createX509KeySource(identity.source),
})
const definition = kest.operation({ operation: 'live.hop', policy: 'live/hop', origin: 'internal' })

process.on('message', async (passport) => {
  try {
    const state = passport === null ? null : await kest.resume({ passport }, {})
    const operation = await kest.begin(definition, { state })
    operation.settle()
    process.send({ passport: operation.passport.toJSON(), certificate: thumbprint() })
  } catch (error) {
    process.send({ error: `${error.code}: ${error.message}` })
  }
})
process.on('disconnect', () => process.exit())
process.send({ ready: identity.source.svids().map((svid) => svid.id.toString()) })

function thumbprint() {
  return createHash('sha256').update(identity.source.current().certificates[0]).digest('hex')
}
