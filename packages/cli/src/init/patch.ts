import { type Choices, policyOf } from './choices.js'
import type { WrittenFile } from './written-file.js'

const SERVICE = 'service.mjs'

/** The lines that a service needs, as a patch that adds a service of its own: to look at, or to apply. No code is edited. */
export function patchFile(choices: Choices): WrittenFile {
  const lines = serviceOf(choices).trimEnd().split('\n')
  const text = [
    'diff --git a/service.mjs b/service.mjs',
    'new file mode 100644',
    '--- /dev/null',
    `+++ b/${SERVICE}`,
    `@@ -0,0 +1,${lines.length} @@`,
    ...lines.map((line) => `+${line}`),
    '',
  ].join('\n')
  return {
    path: 'kest.patch',
    text,
    about: `what the service needs, to look at; git apply kest.patch makes ${SERVICE}`,
  }
}

function serviceOf(choices: Choices): string {
  return choices.framework === 'fastify' ? fastifyService(choices) : expressService(choices)
}

function fastifyService(choices: Choices): string {
  const options = [
    ...(choices.edge ? ["origin: 'user_input'"] : []),
    "exclude: ['/health']",
    ...(choices.identity === 'local' ? ['publishKeys: true'] : []),
  ]
  return `import './kest.mjs'
import kestFastify from '@kest/fastify'
import Fastify from 'fastify'

const app = Fastify()
await app.register(kestFastify, { ${options.join(', ')} })
app.get('/health', async () => 'ok')
app.get('/${choices.name}/:id', { config: { kest: { policy: '${policyOf(choices)}' } } }, async (request) => ({ url: request.url }))

const address = await app.listen({ host: process.env['HOST'] ?? '127.0.0.1', port: Number(process.env['PORT'] ?? 8000) })
console.log(\`${choices.name} listens on \${address}\`)
`
}

function expressService(choices: Choices): string {
  const local = choices.identity === 'local'
  return `import './kest.mjs'
import { kestExpress, ${local ? 'kestJwks, ' : ''}protect } from '@kest/express'
import express from 'express'

const app = express()
app.get('/health', (_request, response) => void response.send('ok')) // before Kest
${local ? "app.get('/.well-known/kest/jwks.json', kestJwks())\n" : ''}app.use(kestExpress(${choices.edge ? "{ origin: 'user_input' }" : ''}))
app.get('/${choices.name}/:id', protect({ policy: '${policyOf(choices)}' }), (request, response) => void response.json({ url: request.url }))

const [host, port] = [process.env['HOST'] ?? '127.0.0.1', Number(process.env['PORT'] ?? 8000)]
const server = app.listen(port, host, () => {
  const address = server.address()
  console.log(\`${choices.name} listens on http://\${host}:\${typeof address === 'object' ? address?.port : port}\`)
})
`
}
