import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const PROGRAM = `
const kestFastify = require('@kest/fastify')
const { createKest } = require('@kest/core')
const { MockIdentityProvider, MockPolicyEngine } = require('@kest/core/testing')
const app = require('fastify')()
const kest = createKest({ identity: new MockIdentityProvider('orders'), engine: new MockPolicyEngine() })
app.register(kestFastify, { kest, origin: 'user_input' })
app.after(() => app.get('/x', { config: { kest: { policy: 'test' } } }, async (request) => request.kest.operation.entry.entry.operation))
app.inject('/x').then(({ body }) => console.log(JSON.stringify([typeof kestFastify, kestFastify === kestFastify.kestFastify, body])))
`

it('is the plugin itself when it is required from CommonJS', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=commonjs', '-e', PROGRAM], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  })
  expect(JSON.parse(stdout)).toEqual(['function', true, 'GET /x'])
})
