import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EntryClaim, type MadeEntry, makeEntry } from '../../packages/audit/dist/testing/make-entry.js'
import { otlpLine, spanOf } from '../../packages/audit/dist/testing/make-span.js'
import { tarOf } from '../../packages/cli/tests/support/tar.js'
import { contextDigest, LABEL, policyContexts } from '../../packages/core/dist/index.js'
import { MockIdentityProvider } from '../../packages/core/dist/testing/index.js'
import { RegoWasmEngine } from '../../packages/opa/dist/index.js'
import { createDevAuthority } from '../../packages/spiffe/dist/dev-authority/index.js'
import { SPIREProvider } from '../../packages/spiffe/dist/index.js'
import { root } from '../../scripts/workspace.mjs'

const SERVICES = ['gateway', 'orders', 'payments'] as const
const ALICE = { agent: null, task: null, user: 'alice' }
const MODULE = readFileSync(join(root, 'tests/fixtures/readmes/policies/policy.wasm'))
const CEDAR = 'permit(principal, action, resource) when { context.trust_score >= 20 };\n'

/** How far each text of `orders/read` trusts at least. */
const LEAST_TRUST = { v12: 10, v13: 20, v14: 30 }

/** What the manual of the command line takes for given: `kest`, and the files that it names, in a folder that is also the home. */
export async function commandLineFolder(): Promise<{ folder: string; bin: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'kest-manual-'))
  const bin = join(folder, 'node_modules/.bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(join(root, 'packages/cli/bin/kest.js'), join(bin, 'kest'))
  symlinkSync(join(root, 'node_modules/concurrently/dist/bin/concurrently.js'), join(bin, 'concurrently'))

  const { entries, decided, trust } = await request(folder)
  const legacy = new MockIdentityProvider('legacy')
  const write = (name: string, content: string | Uint8Array | object): void =>
    writeFileSync(
      join(folder, name),
      typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
    )
  write('trust.json', trust)
  write('bundle.json', trust.bundles['example.org'] as object)
  write('keys.json', { [legacy.getWorkloadId()]: [legacy.getPublicJwk()] })
  write('kest.yaml', deployment())
  for (const version of ['v12', 'v13'] as const) write(`bundle-${version}.tar.gz`, bundleOf(version))
  write('new-bundle.tar.gz', bundleOf('v14'))
  write('new.wasm', MODULE)
  write('data.json', dataOf('v14'))
  write('a.cedar', CEDAR)
  write('b.cedar', 'forbid(principal, action, resource) when { context.taints.contains("malware") };\n')
  write('spans.jsonl', entries.map(lineOf).join(''))
  mkdirSync(join(folder, 'spans'))
  for (const name of SERVICES)
    write(
      `spans/${name}.jsonl`,
      decided
        .filter((made) => nameOf(made) === name)
        .map(lineOf)
        .join(''),
    )
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

type Version = keyof typeof LEAST_TRUST

function dataOf(version: Version): { readonly least_trust: number } {
  return { least_trust: LEAST_TRUST[version] }
}

/** As `opa build -t wasm --revision` writes it. */
function bundleOf(version: Version): Uint8Array {
  return tarOf({
    '/policy.wasm': MODULE,
    '/data.json': JSON.stringify(dataOf(version)),
    '/.manifest': JSON.stringify({ revision: version, roots: [''] }),
  })
}

/**
 * A request for an order, of which two services load a part each, and one puts them together; and one like it, whose entries say
 * by which text they were decided.
 */
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
  const make: Step = (identity, parents, operation, members = {}) =>
    makeEntry((identity as SPIREProvider).current(), parents, { operation, timestamp_ms: at++, ...members })
  const v12 = await RegoWasmEngine.load(bundleOf('v12'))
  const v13 = await RegoWasmEngine.load(bundleOf('v13'))
  const lineages = new Map<MadeEntry, readonly MadeEntry[]>()
  /** The gateway is a version behind. */
  const decide: Step = (identity, parents, operation, members = {}) => {
    const asked = make(identity, parents, operation, members)
    const lineage = [...new Set(parents.flatMap((one) => [...(lineages.get(one) ?? []), one]))]
    const labels = decisionOf(asked, lineage, identity === gateway ? v12 : v13)
    const made = make(identity, parents, operation, {
      ...asked.entry,
      labels: { ...asked.entry.labels, ...labels },
    })
    lineages.set(made, lineage)
    return made
  }
  const all = (step: Step): MadeEntry[] => {
    const pii = { added_taints: ['pii'], taints: ['pii'] }
    const labels = { [LABEL.identity]: JSON.stringify(ALICE) }
    const first = step(gateway, [], 'GET /orders/:id', { ...pii, labels })
    const load = step(orders, [first], 'orders.load')
    const pay = step(payments, [first], 'payments.load')
    return [first, load, pay, step(orders, [load, pay], 'orders.render')]
  }
  const [entries, decided] = [all(make), all(decide)]
  for (const identity of [gateway, orders, payments]) identity?.close()
  return { entries, decided, trust: { bundles: { [authority.trustDomain.name]: authority.bundle() } } }
}

type Step = (
  identity: SPIREProvider | undefined,
  parents: readonly MadeEntry[],
  operation: string,
  members?: EntryClaim,
) => MadeEntry

/** Asks an engine, as the hook would, and returns what the entry is to say of that. */
function decisionOf(
  { entry }: MadeEntry,
  lineage: readonly MadeEntry[],
  engine: RegoWasmEngine,
): Record<string, string> {
  const { trust_score: trustScore, taints, entry_id: entryId } = entry
  const { function_policies: policies } = entry.policy_context
  const [root = { entry }] = lineage
  const source = lineage.length === 0 ? 'user_input' : 'internal'
  const summary = {
    depth: lineage.length,
    principals: lineage.map((one) => one.entry.labels[LABEL.principal] as string),
    operations: lineage.map((one) => one.entry.operation),
    classifications: lineage.map((one) => one.entry.classification),
  }
  const context = policyContexts({
    entry,
    // All are told by the gateway who acts.
    effective: {
      trustScore,
      taints,
      identity: ALICE,
      identityBy: root.entry.labels[LABEL.principal] as string,
    },
    lineage: { length: lineage.length, summary: () => summary },
    names: undefined,
    source,
    plan: { deviations: [] },
  })('function', policies)
  const decision = engine.evaluate({ entryId, policies, context })
  if (decision !== true && !decision.allow) throw new Error(`${entry.operation} is denied`)
  return {
    [LABEL.source]: source,
    [LABEL.context]: contextDigest(context),
    [LABEL.revisions]: JSON.stringify({ function: [engine.revision()] }),
  }
}

function lineOf(made: MadeEntry): string {
  return `${otlpLine(nameOf(made), [spanOf(made)])}\n`
}

function nameOf({ entry }: MadeEntry): string {
  return (entry.labels['principal'] as string).replace('spiffe://example.org/', '')
}
