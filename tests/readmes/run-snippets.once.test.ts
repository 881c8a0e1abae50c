import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDevAuthority, type DevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { root } from '../../scripts/workspace.mjs'
import { run } from '../support/run.js'
import { README_PAGES, type Snippet, snippetsOf, typeScriptSnippets } from './snippets.js'
import { linkWorkspaceModules } from './workspace-modules.js'

/** What is not run, and who shows it instead. Whatever is not named here is run, as printed but for places. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'README.md: In your own service 2':
    'its SDK is installed for the types alone: tests/live/readmes.live.test.ts',
  "packages/express/README.md: Beside OpenTelemetry's instrumentation": 'the same',
  'packages/audit/README.md: Receiving':
    'it listens until it is told to stop: packages/audit/tests/receiver.test.ts',
  'packages/audit/README.md: Following':
    'it follows until it is told to stop: packages/audit/tests/follow.test.ts',
  'packages/fleet/README.md: @kest/fleet': 'it wants a Kafka: packages/fleet/live/fleet.live.test.ts',
  'packages/fleet/README.md: Reading verdicts': 'the same',
  'packages/core/README.md: An identity by tokens':
    'it asks GCP for a token: packages/core/src/oidc/oidc-identity.test.ts',
  'packages/mcp/README.md: A client':
    'it calls a server that is not there: packages/mcp/tests/client.test.ts',
  'packages/messaging/README.md: BullMQ': 'it wants a Redis: packages/messaging/live/bullmq.live.test.ts',
  'packages/messaging/README.md: amqplib':
    'it wants a RabbitMQ: packages/messaging/live/amqplib.live.test.ts',
  'packages/messaging/README.md: SQS': 'it wants SQS: packages/messaging/live/sqs.live.test.ts',
  'packages/messaging/README.md: NATS': 'it wants a NATS: packages/messaging/live/nats.live.test.ts',
  'packages/redis/README.md: @kest/redis': 'it wants a Redis: packages/redis/tests/redis-cache.test.ts',
  'packages/redis/README.md: Options of `RedisCache.connect`': 'the same',
  'packages/spiffe/README.md: Bundles and federation':
    'it asks a partner: packages/spiffe/src/bundle/federated-bundle.test.ts',
  'packages/spiffe/README.md: mTLS':
    'it calls services that are not there: packages/spiffe/tests/mtls.test.ts',
  'packages/spiffe/README.md: Verification':
    'its passport was signed by SVIDs: packages/spiffe/tests/provider.test.ts',
}

/** Places of a reader's, and what they are here. */
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/'http:\/\/hop2:8000([^']*)'/g, "(otherOrigin + '$1')"],
  [/'https:\/\/example\.com\/'/g, 'otherOrigin'],
  [/'\/var\/lib\//g, "'./var/"],
  [/port: (8000|4318)/g, 'port: 0'],
  [/listen\(8000\)/g, 'listen(0)'],
]

const folder = await mkdtemp(join(tmpdir(), 'kest-snippets-'))
let authority: DevAuthority

beforeAll(async () => {
  linkWorkspaceModules(folder)
  mkdirSync(join(folder, 'src'))
  copyFileSync(join(root, 'tests/fixtures/readmes/prelude.mjs'), join(folder, 'prelude.mjs'))
  mkdirSync(join(folder, 'var/otelcol/spans'), { recursive: true })
  for (const { text } of README_PAGES.flatMap(snippetsOf).filter(({ language }) => language === 'cedar'))
    writeFileSync(join(folder, 'orders.cedar'), text)
  const policies = join(root, 'examples/three-hop/policies')
  for (const name of ['bundle', 'bundle-v12', 'bundle-v13'])
    await run('tar', ['-czf', join(folder, `${name}.tar.gz`), '-C', policies, 'policy.wasm'], folder)
  authority = await createDevAuthority({ trustDomain: 'example.org', workloads: { orders: {} } })
})
afterAll(async () => {
  await authority?.close()
  await rm(folder, { recursive: true, force: true })
})

const snippets = typeScriptSnippets().map((snippet) => [nameOf(snippet), snippet] as const)

it('every snippet that is not run is one, and what shows it instead is there', () => {
  const names = snippets.map(([name]) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names).toEqual(expect.arrayContaining(Object.keys(NOT_RUN)))
  const files = Object.values(NOT_RUN).flatMap((reason) => reason.match(/\S+\.test\.ts/g) ?? [])
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
})

describe('what a README shows in TypeScript runs, as printed but for places', () => {
  it.each(snippets.filter(([name]) => !(name in NOT_RUN)))('%s', async (name, { text }) => {
    const file = join(folder, 'src', `${name.replaceAll(/\W+/g, '-')}.mjs`)
    const shown = PLACES.reduce((at, [place, here]) => at.replaceAll(place, here), text)
    const { outputText } = ts.transpileModule(shown, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        // Those of Nest. No README shows the standard ones.
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      },
    })
    writeFileSync(file, `import '../prelude.mjs'\n${outputText}\nprocess.exit(0)\n`)
    const env = { ...process.env, SPIFFE_ENDPOINT_SOCKET: authority.sockets['orders'] }
    await run(process.execPath, [file], folder, env)
  })
})

/** The page, the section, and which of the section's it is. */
function nameOf(snippet: Snippet): string {
  const { page, section } = snippet
  const same = snippetsOf(page).filter((other) => other.language === 'ts' && other.section === section)
  const at = same.findIndex(({ line }) => line === snippet.line)
  return `${page}: ${section}${same.length > 1 ? ` ${at + 1}` : ''}`
}
