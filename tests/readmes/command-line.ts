import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MadeEntry, makeEntry } from '../../packages/audit/dist/testing/make-entry.js'
import { otlpLine, spanOf } from '../../packages/audit/dist/testing/make-span.js'
import { MockIdentityProvider } from '../../packages/core/dist/testing/index.js'
import { createDevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { SPIREProvider } from '../../packages/spiffe/dist/index.js'
import { root } from '../../scripts/workspace.mjs'

const SERVICES = ['gateway', 'orders', 'payments'] as const
const IDENTITY = JSON.stringify({ agent: null, task: null, user: 'alice' })

/** What the manual of the command line takes for given: `kest`, and the files that it names, in a folder that is also the home. */
export async function commandLineFolder(): Promise<{ folder: string; bin: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'kest-manual-'))
  const bin = join(folder, 'node_modules/.bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(join(root, 'packages/cli/bin/kest.js'), join(bin, 'kest'))
  symlinkSync(join(root, 'node_modules/concurrently/dist/bin/concurrently.js'), join(bin, 'concurrently'))

  const { entries, trust } = await request(folder)
  const legacy = new MockIdentityProvider('legacy')
  const write = (name: string, content: string | object): void =>
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  write('trust.json', trust)
  write('bundle.json', trust.bundles['example.org'] as object)
  write('keys.json', { [legacy.getWorkloadId()]: [legacy.getPublicJwk()] })
  write('kest.yaml', deployment())
  const lines = entries.map((made) => `${otlpLine(nameOf(made), [spanOf(made)])}\n`)
  write('spans.jsonl', lines.join(''))
  mkdirSync(join(folder, 'spans'))
  for (const name of SERVICES)
    write(`spans/${name}.jsonl`, lines.filter((_, i) => nameOf(entries[i] as MadeEntry) === name).join(''))
  for (const name of ['edge', 'orders']) write(`${name}.js`, `console.log('${name} has ended')\n`)
  mkdirSync(join(folder, 'evidence'))
  for (const name of ['order-4711.json', 'evidence.json', 'evidence/order-4711.json'])
    execFileSync(
      join(bin, 'kest'),
      ['evidence', 'spans.jsonl', '--trust', 'trust.json', '--roots', 'kest.yaml', '-o', name],
      { cwd: folder },
    )
  return { folder, bin }
}

/** JSON is YAML. */
function deployment(): object {
  const approver = 'security@example.org'
  const expires = new Date(Date.now() + 30 * 86_400_000).toISOString()
  return {
    policies: { enterprise: ['acme/embargo'], platform: ['platform/minimum-trust', 'platform/other'] },
    deviations: [
      {
        policy: 'platform/other',
        tier: 'platform',
        scope: 'GET /orders/:id',
        reason: 'no origin yet',
        approver,
      },
    ],
    roots: [{ workload: 'spiffe://example.org/gateway', ceiling: 40, identity: true }],
    observe: [{ what: 'lineage', scope: { all: true }, reason: 'no lineage yet', approver, expires }],
  }
}

/** A request for an order, of which two services load a part each, and one puts them together. */
async function request(folder: string) {
  await using authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: Object.fromEntries(SERVICES.map((name) => [name, {}])),
    socketDirectory: folder,
  })
  const [gateway, orders, payments] = await Promise.all(
    SERVICES.map((name) => SPIREProvider.connect({ address: authority.sockets[name] as string })),
  )
  let at = Date.now()
  const step = (
    identity: SPIREProvider | undefined,
    parents: readonly MadeEntry[],
    operation: string,
    members: object = {},
  ): MadeEntry =>
    makeEntry((identity as SPIREProvider).current(), parents, { operation, timestamp_ms: at++, ...members })
  const pii = { added_taints: ['pii'], taints: ['pii'] }
  const first = step(gateway, [], 'GET /orders/:id', { ...pii, labels: { 'kest.identity': IDENTITY } })
  const load = step(orders, [first], 'orders.load')
  const pay = step(payments, [first], 'payments.load')
  const last = step(orders, [load, pay], 'orders.render')
  for (const identity of [gateway, orders, payments]) identity?.close()
  return {
    entries: [first, load, pay, last],
    trust: { bundles: { [authority.trustDomain.name]: authority.bundle() } },
  }
}

function nameOf({ entry }: MadeEntry): string {
  return (entry.labels['principal'] as string).replace('spiffe://example.org/', '')
}
