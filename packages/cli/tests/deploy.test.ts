import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folder, kest, lines } from './support/kest.js'
import { entryBy, exported } from './support/spans.js'

const DAY = 86_400_000
const inDays = (days: number): string => new Date(Date.now() + days * DAY).toISOString()
const by = { reason: 'because', approver: 'security@kest.test' }
const ORDERS = 'spiffe://kest.test/orders'
const READ = 'GET /orders/:id'

const DEPLOYMENT = {
  policies: { enterprise: ['acme/embargo'], platform: ['platform/minimum-trust', 'platform/other'] },
  deviations: [{ policy: 'platform/other', tier: 'platform', scope: READ, ...by, expires: inDays(30) }],
  roots: [{ workload: 'spiffe://kest.test/gateway', ceiling: 40 }],
  observe: [
    {
      what: 'policy',
      tier: 'platform',
      scope: { operation: READ, workload: ORDERS },
      ...by,
      expires: inDays(30),
    },
    { what: 'lineage', scope: { workload: ORDERS }, ...by, expires: inDays(30) },
  ],
}

async function check(deployment: unknown, args: readonly string[] = [], files: Record<string, unknown> = {}) {
  const cwd = await folder({ 'kest.json': deployment, ...files })
  return await kest(['deploy', 'check', 'kest.json', ...args], { cwd })
}

const warningsOf = async (deployment: unknown, args: readonly string[], files = {}) => {
  const run = await check(deployment, [...args, '--json'], files)
  const [{ warnings } = { warnings: [] }] = lines(run) as [{ warnings: { code: string; at: string }[] }]
  return { code: run.code, warnings: warnings.map(({ code, at }) => `${code} ${at}`) }
}

describe('kest deploy check', () => {
  it('says what is in a file that services would take, and succeeds', async () => {
    const { stdout, stderr, code } = await check(DEPLOYMENT)
    expect([stderr, code]).toEqual(['', 0])
    expect(stdout).toBe(
      'kest.json: valid\n  policies: 1 enterprise, 2 platform, 0 application; 1 deviations, 2 observations, 1 roots (report)\n',
    )
  })

  it('shows no escape sequence of its own as text', async () => {
    const cwd = await folder({ 'kest.json': DEPLOYMENT })
    const env = { FORCE_COLOR: '1' }
    const { stdout } = await kest(['deploy', 'check', 'kest.json', '--operation', READ], { cwd, env })
    expect(stdout).toContain('own policies are not in the file: --policy\u001b[22m\n')
    expect(stdout).not.toContain('\\u{1b}')
  })

  it.each([
    ['a member that is misspelled', { policy: {} }, 'kest.json: document: unknown key "policy"'],
    [
      'an observation for longer than 90 days',
      { policies: {}, observe: [{ ...DEPLOYMENT.observe[1], expires: inDays(91) }] },
      'observe[0].expires',
    ],
  ])('refuses %s as services do, with the path in the file', async (_, deployment, message) => {
    const { stdout, code } = await check(deployment)
    expect([stdout, code]).toEqual([expect.stringContaining(message), 1])
    expect(lines(await check(deployment, ['--json']))).toMatchObject([{ file: 'kest.json', valid: false }])
  })

  it('fails otherwise for a file that cannot be read', async () => {
    const { stderr, code } = await kest(['deploy', 'check', 'missing.yaml'], { cwd: await folder({}) })
    expect([stderr, code]).toEqual([expect.stringContaining('missing.yaml: cannot be read'), 2])
  })

  it('K-OBSERVE says what is in force for an operation of a workload at a time', async () => {
    const of = ['--operation', READ, '--workload', ORDERS, '--policy', 'orders/read']
    const { stdout } = await check(DEPLOYMENT, of)
    expect(stdout).toContain(`${READ} of ${ORDERS}, at `)
    expect(stdout.split('\n').slice(4, 9)).toEqual([
      '  observed  lineage',
      '  enforced  enterprise: acme/embargo',
      '  enforced  function: orders/read',
      '  observed  platform: platform/minimum-trust (security@kest.test)',
      '  exempted  platform: platform/other (security@kest.test: because)',
    ])
    const later = lines(await check(DEPLOYMENT, [...of, '--at', inDays(31), '--json']))
    expect(later).toMatchObject([
      {
        valid: true,
        in_force: {
          operation: READ,
          workload: ORDERS,
          lineage: 'enforced',
          enforced: [
            { tier: 'enterprise', policies: ['acme/embargo'] },
            { tier: 'platform', policies: ['platform/minimum-trust', 'platform/other'] },
            { tier: 'function', policies: ['orders/read'] },
          ],
          observed: [],
          deviations: [],
        },
      },
    ])
  })

  it('warns of what is over, and of what ends soon, which fails only where that is asked for', async () => {
    const [deviation] = DEPLOYMENT.deviations
    const ending = { ...DEPLOYMENT, deviations: [{ ...deviation, expires: inDays(3) }] }
    expect(await warningsOf(ending, [])).toEqual({ code: 0, warnings: ['expires-soon deviations[0]'] })
    expect(await warningsOf(ending, ['--fail-on', 'all'])).toMatchObject({ code: 1 })
    expect(await warningsOf(ending, ['--soon', '2'])).toEqual({ code: 0, warnings: [] })
    const over = { ...DEPLOYMENT, deviations: [{ ...deviation, expires: inDays(-1) }] }
    expect(await warningsOf(over, [])).toEqual({ code: 1, warnings: ['expired deviations[0]'] })
    expect(await warningsOf(over, ['--fail-on', 'none'])).toMatchObject({ code: 0 })
  })

  it('warns of deviations, observations and roots that nothing in recorded spans is about', async () => {
    const root = entryBy('gateway', [], { operation: 'edge' })
    const spans = { 'spans.jsonl': exported(root, entryBy('orders', [root], { operation: READ })) }
    const unmatched = {
      ...DEPLOYMENT,
      deviations: [...DEPLOYMENT.deviations, { ...DEPLOYMENT.deviations[0], scope: 'GET /order/:id' }],
      roots: [...DEPLOYMENT.roots, { workload: 'spiffe://kest.test/jobs/*', ceiling: 40 }],
      observe: [
        ...DEPLOYMENT.observe,
        { what: 'policy', policies: ['orders/raed'], scope: { all: true }, ...by, expires: inDays(30) },
      ],
    }
    expect(await warningsOf(unmatched, ['--spans', 'spans.jsonl'], spans)).toEqual({
      code: 1,
      warnings: ['unmatched deviations[1]', 'unmatched observe[2]', 'unmatched roots[1]'],
    })
    expect(await warningsOf(DEPLOYMENT, ['--spans', 'spans.jsonl'], spans)).toMatchObject({ code: 0 })
    const torn = { 'spans.jsonl': `${spans['spans.jsonl']}{"resourceSpans": 7}\n` }
    expect(await warningsOf(DEPLOYMENT, ['--spans', 'spans.jsonl'], torn)).toMatchObject({
      code: 1,
      warnings: [expect.stringMatching(/^unread-spans /)],
    })
  })

  it('warns of policies that none of the engines has, by OPA and by what is compiled', async () => {
    const server = createServer((request, response) => {
      const answers: Record<string, object> = {
        '/v1/data/acme/embargo': { result: true },
        '/v1/compile': { result: {} },
      }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answers[request.url ?? ''] ?? {}))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const policies = { policies: { enterprise: ['acme/embargo'], platform: ['kest/nowhere'] } }
    expect(await warningsOf(policies, ['--opa', url])).toEqual({
      code: 1,
      warnings: ['unknown-policy policies.platform[0]'],
    })
    const rego = fileURLToPath(new URL('../../opa/policies/policy.wasm', import.meta.url))
    const library = { policies: { ...policies.policies, platform: ['kest/minimum_trust'] } }
    const both = ['--opa', url, '--rego', rego]
    expect(await warningsOf(library, both)).toEqual({ code: 0, warnings: [] })
    expect((await warningsOf(library, ['--opa', url])).code).toBe(1)
    const unreachable = await check(policies, ['--rego', 'kest.json'])
    expect([unreachable.stderr, unreachable.code]).toEqual([expect.stringContaining('--rego kest.json: '), 2])
  })

  it('asks an OPA by its token, and by its socket, and shows the token to nobody', async () => {
    const files = await folder({ token: 'hunter2\n' })
    const server = createServer((request, response) => {
      if (request.headers.authorization !== 'Bearer hunter2') response.writeHead(401)
      response.end(request.url === '/v1/data/acme/embargo' ? '{"result":true}' : '{}')
    })
    const socket = join(files, 'opa.sock')
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    onTestFinished(() => void server.close())
    const policies = { policies: { enterprise: ['acme/embargo'], platform: ['kest/nowhere'] } }
    const by = ['--opa-socket', socket]
    const known = await warningsOf(policies, [...by, '--opa-token-file', join(files, 'token')])
    expect(known).toEqual({ code: 1, warnings: ['unknown-policy policies.platform[0]'] })
    const unknown = await warningsOf(policies, by)
    expect(unknown).toEqual({
      code: 1,
      warnings: ['unknown-policy policies.enterprise[0]', 'unknown-policy policies.platform[0]'],
    })
  })

  it.each([
    [['deploy'], 'kest deploy check FILE'],
    [['deploy', 'check'], 'which file?'],
    [['deploy', 'check', 'a', '--at', inDays(0)], '--at is for --operation'],
    [['deploy', 'check', 'a', '--opa', 'opa'], '--opa: expected a URL'],
    [['deploy', 'check', 'a', '--opa-token-file', 'x'], '--opa-token-file: for which OPA? --opa URL'],
    [
      ['deploy', 'check', 'a', '--opa', 'http://a', '--opa', 'http://b', '--opa-socket', 'x'],
      '--opa-socket: for which OPA? --opa is given more than once',
    ],
    [['deploy', 'check', 'a', '--fail-on', 'expire'], '--fail-on: expected'],
  ])('refuses %j', async (args, message) => {
    const { stderr, code } = await kest(args)
    expect([stderr, code]).toEqual([expect.stringContaining(message), 2])
  })
})
