import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

describe('CommonJS', () => {
  it('gets the package, as built, by require()', () => {
    const script = `
      const { kestExpress, protect, wrapRouter, kestJwks } = require('@kest/express')
      const { configure } = require('@kest/core')
      const { MockIdentityProvider, MockPolicyEngine } = require('@kest/core/testing')
      const express = require('express')
      configure({ identity: new MockIdentityProvider(), engine: new MockPolicyEngine() })
      const app = express()
      app.get('/keys', kestJwks())
      app.use(kestExpress({ origin: 'internet' }))
      app.get('/x/:id', protect({ policy: 'p' }), (req, res) => res.send(req.kest.operation.entry.entry.operation))
      app.use(wrapRouter(express.Router(), { policy: 'p' }))
      const server = app.listen(0, '127.0.0.1', async () => {
        const answer = await fetch('http://127.0.0.1:' + server.address().port + '/x/7')
        console.log(answer.status, await answer.text())
        server.close()
      })
    `
    const output = execFileSync(process.execPath, ['--no-warnings', '-e', script], {
      cwd: new URL('..', import.meta.url),
      encoding: 'utf8',
    })
    expect(output).toBe('200 GET /x/:id\n')
  })
})
