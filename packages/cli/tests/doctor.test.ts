import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type ServerOptions } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDevAuthority, type DevAuthority } from '@kest/spiffe/dev'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { doctor as command } from '../src/commands/doctor.js'
import { CHECKS } from '../src/doctor/finding.js'
import { checkPropagators } from '../src/doctor/propagators.js'
import { folder, kest, lines, type Run } from './support/kest.js'
import { runWithin } from './support/within.js'

let authority: DevAuthority
beforeAll(async () => {
  const sockets = await mkdtemp(join(tmpdir(), 'kest-doctor-'))
  authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { orders: {} },
    socketDirectory: sockets,
  })
  return async () => {
    await authority.close()
    await rm(sockets, { recursive: true })
  }
})

interface Found {
  readonly check: string
  readonly status: string
  readonly code: string
  readonly message: string
  readonly remedy: string | null
}

/** Runs the command within this process, which is what it looks at: what it finds with `--json`, and how it ends. */
async function doctor(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run & { readonly found: Found[] }> {
  for (const name of Object.keys(process.env)) if (/^(SPIFFE|OTEL)_/.test(name)) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const run = await runWithin(command, ['--json', '--timeout', '60', ...args])
  return { ...run, found: lines(run).slice(0, -1) as unknown as Found[] }
}

function codesOf(found: readonly Found[], check: string): string[] {
  return found.filter((one) => one.check === check).map(({ code }) => code)
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function serve(answer: RequestListener, options: ServerOptions = {}): Promise<string> {
  const server = createServer(options, answer)
  onTestFinished(() => server.closeAllConnections())
  return await listen(server)
}

/** Takes connections, and says nothing. */
async function silent(): Promise<string> {
  const sockets = new Set<{ destroy(): void }>()
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  return await listen(createTcpServer((socket) => sockets.add(socket.on('error', () => {}).resume())))
}

describe('kest doctor', () => {
  it('says of everything that it was not told of that it is not checked, and changes nothing', async () => {
    const { code, found, stdout } = await doctor([])
    expect(code).toBe(0)
    expect(new Set(found.map(({ check }) => check))).toEqual(new Set(CHECKS))
    expect(found.filter(({ status }) => status !== 'not-checked').map(({ code: ok }) => ok)).toEqual([
      'headers-pass',
    ])
    expect(stdout).toContain('{"summary":{"ok":1,"warning":0,"failure":0,"not-checked":8}}\n')
  })

  it('shows a person what to do, a line for each finding', async () => {
    const { code, stdout } = await kest(['doctor', '--opa', 'http://127.0.0.1:1'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^✗ engine {7}ERR_KEST_ENGINE: .* \[engine-unreachable\]\n {15}start OPA, /m)
    expect(stdout).toMatch(/^· identity {5}not checked: /m)
    expect(stdout).toMatch(/\n1 failures, 0 warnings, 1 ok, \d not checked\n$/)
  })

  it.each([
    [['--require', 'identity'], 1],
    [['--require', 'headers'], 0],
    [['--front', 'http://127.0.0.1:1', '--fail-on', 'none'], 0],
  ])('ends as it is asked to: %j', async (args, status) => {
    expect((await doctor(args)).code).toBe(status)
  })

  it.each([
    [['orders'], 'it takes no argument, got "orders"'],
    [['--opa', 'hunter2'], '--opa: expected a URL of http or https, such as http://127.0.0.1:8080'],
    [['--opa-token-file', 'x'], '--opa-token-file: for which OPA?'],
    [['--require', 'opa'], '--require: expected identity or trust'],
    [['--fail-on', 'error'], '--fail-on: expected failure or warning or none'],
    [['--opa', 'http://x', '--opa-token-file', '/nowhere'], '--opa-token-file: '],
  ])('says what is wrong: %j', async (args, message) => {
    const failed = await doctor(args).catch((error: Error) => error)
    expect(String(failed)).toContain(message)
    expect(String(failed)).not.toContain('hunter2')
  })
})

describe('identity and trust', () => {
  it('says who the service is, until when, and whose workloads it can verify', async () => {
    const { code, found } = await doctor(['--trust-domain', 'example.org', '--require', 'identity,trust'], {
      SPIFFE_ENDPOINT_SOCKET: authority.sockets['orders'] as string,
    })
    expect(code).toBe(0)
    expect(found[0]).toMatchObject({ status: 'ok', code: 'identity-known' })
    expect(found[0]?.message).toMatch(/^spiffe:\/\/example\.org\/orders, valid from \S+Z to \S+Z$/)
    expect(found[1]).toMatchObject({
      code: 'trust-known',
      message: 'workloads of example.org can be verified',
    })
  })

  it('misses the bundle of a trust domain that it is told of', async () => {
    const { code, found } = await doctor(['--trust-domain', 'example.org,partner.example'], {
      SPIFFE_ENDPOINT_SOCKET: authority.sockets['orders'] as string,
    })
    expect(code).toBe(1)
    expect(found.filter(({ status }) => status === 'failure')).toMatchObject([
      { check: 'trust', code: 'trust-missing', message: 'no bundle of partner.example' },
    ])
  })

  it.each([
    ['/run/agent.sock', 'identity-address'],
    ['unix:///nowhere/agent.sock', 'identity-unreachable'],
  ])('says why there is none: %s', async (address, code) => {
    const { found, code: status } = await doctor(['--trust-domain', 'example.org'], {
      SPIFFE_ENDPOINT_SOCKET: address,
    })
    expect(status).toBe(1)
    expect(codesOf(found, 'identity')).toEqual([code])
    expect(codesOf(found, 'trust')).toEqual(['trust-missing'])
  })
})

describe('engine and policies', () => {
  /** Has `orders.read`; guards itself by a token, and lets nobody compile. */
  const opa: RequestListener = (request, response) => {
    const { authorization } = request.headers
    if (authorization !== 'Bearer hunter2') response.writeHead(401).end(`{"you":"${authorization}"}`)
    else if (request.url === '/v1/compile') response.writeHead(403).end('{}')
    else response.end(request.url === '/v1/data/orders/read' ? '{"result":false}' : '{}')
  }

  it('asks whether OPA answers, by its token, and which policies it has', async () => {
    const files = await folder({ token: 'hunter2\n' })
    const { code, found, stdout } = await doctor([
      ...['--opa', await serve(opa), '--opa-token-file', `${files}/token`],
      ...['--policy', 'orders/read,orders/raed'],
    ])
    expect(code).toBe(0)
    expect(codesOf(found, 'engine')).toEqual(['engine-answers'])
    expect(found.filter(({ check }) => check === 'policies')).toMatchObject([
      { status: 'ok', code: 'policies-known', message: 'orders/read' },
      { status: 'warning', code: 'policy-unclear', message: expect.stringContaining('orders/raed') },
    ])
    expect(stdout).not.toContain('hunter2')
  })

  it('finds a policy that nobody loaded', async () => {
    const url = await serve((_, response) => response.end('{}'))
    const { code, found } = await doctor(['--opa', url, '--policy', 'orders/raed'])
    expect(code).toBe(1)
    expect(codesOf(found, 'policies')).toEqual(['policy-unknown'])
  })

  it.each([
    [['--opa', 'http://127.0.0.1:1'], 'engine-unreachable'],
    [['--opa-socket', '/nowhere/opa.sock'], 'engine-unreachable'],
    [['--opa-socket', `/${'x'.repeat(120)}`], 'engine-config'],
    [['--opa', 'http://user:hunter2@opa'], 'engine-config'],
  ])('says what is in the way: %j', async (args, code) => {
    const { found, stdout } = await doctor([...args, '--policy', 'orders/read'])
    expect(codesOf(found, 'engine')).toEqual([code])
    expect(codesOf(found, 'policies')).toEqual(['policies-not-asked'])
    expect(stdout).not.toContain('hunter2')
  })
})

describe('collector', () => {
  it('exports nothing, by what the environment says, and shows none of it', async () => {
    const bodies: string[] = []
    const url = await serve(async (request, response) => {
      for await (const chunk of request) bodies.push(`${chunk}`)
      const ok = request.headers.authorization === 'Bearer hunter2'
      response.writeHead(ok ? 200 : 401).end(ok ? '{}' : `"${request.headers.authorization}"`)
    })
    const env = (password: string) => ({
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${password}`,
    })
    const taken = await doctor([], env('hunter2'))
    expect(codesOf(taken.found, 'collector')).toEqual(['collector-takes'])
    expect(bodies).toEqual(['{"resourceSpans":[]}'])
    const refused = await doctor([], env('hunter3'))
    expect(codesOf(refused.found, 'collector')).toEqual(['collector-does-not-take'])
    expect(refused.stdout).toContain('HTTP 401')
    expect(refused.stdout).not.toContain('hunter3')
  })

  it.each(['grpc://user:hunter2@collector:4317', 'user:hunter2@collector'])(
    'refuses what is no endpoint, and does not show it: %s',
    async (endpoint) => {
      const { found, stdout } = await doctor([], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
      expect(codesOf(found, 'collector')).toEqual(['collector-config'])
      expect(stdout).not.toContain('hunter2')
    },
  )
})

describe('clock', () => {
  it.each([
    [0, 'clock-agrees', /the same time/],
    [-30_000, 'clock-differs', /this clock is \d\d s or more ahead of that of the server in front/],
    [30_000, 'clock-differs', /\d\d s or more behind/],
    [-3_600_000, 'clock-far', /ahead/],
    [3_600_000, 'clock-far', /behind/],
  ])('compares with the date of an answer: %i ms', async (difference, code, message) => {
    const front = await serve((_, response) => {
      response.setHeader('date', new Date(Date.now() + difference).toUTCString()).end()
    })
    const { found } = await doctor(['--front', front])
    const clock = found.filter(({ check }) => check === 'clock')
    expect(clock).toMatchObject([{ code }])
    expect(clock[0]?.message).toMatch(message)
  })

  it.each(['', 'yesterday'])('says that it cannot tell: date %j', async (date) => {
    const front = await serve((_, response) => {
      response.sendDate = false
      if (date !== '') response.setHeader('date', date)
      response.end()
    })
    expect(codesOf((await doctor(['--front', front])).found, 'clock')).toEqual(['clock-unknown'])
  })
})

describe('headers', () => {
  it('finds how much Node takes as it is started', async () => {
    const run = await kest(['doctor', '--json'], { env: { NODE_OPTIONS: '--max-http-header-size=8192' } })
    expect(run.code).toBe(1)
    expect(lines(run).filter(({ status }) => status === 'failure')).toMatchObject([
      { code: 'headers-node', message: 'Node takes 8192 bytes of request headers' },
    ])
  })

  it.each([
    [4_096, 'headers-front-small', /takes a baggage of 2048 bytes; with 4096 it answers 431/],
    [16_384, 'headers-pass', /takes a baggage of 15360 bytes; with 24576 it answers 431/],
    [65_536, 'headers-pass', /takes a baggage of 32768 bytes$/],
  ])('finds how much the server in front takes: %i bytes in all', async (maxHeaderSize, code, message) => {
    const front = await serve((_, response) => response.end(), { maxHeaderSize })
    const { found } = await doctor(['--front', `${front}/health?token=hunter2`])
    const [, ofFront] = found.filter(({ check }) => check === 'headers')
    expect(ofFront).toMatchObject({ code, message: expect.stringMatching(message) })
    expect(ofFront?.message).not.toContain('hunter2')
  })

  it('takes a refusal of anything else for what it is', async () => {
    const front = await serve((_, response) => response.writeHead(403).end())
    expect(codesOf((await doctor(['--front', front])).found, 'headers')).toEqual([
      'headers-pass',
      'headers-pass',
    ])
  })

  it.each([400, 431, 494, 502, 503])(
    'says that it cannot tell by a server that answers %i to anything',
    async (status) => {
      const front = await serve((_, response) => response.writeHead(status).end())
      const { found, code } = await doctor(['--front', front, '--fail-on', 'warning'])
      expect([codesOf(found, 'headers').at(-1), code]).toEqual(['headers-unclear', 1])
    },
  )

  it.each([
    [(bytes: number) => bytes < 4_000, 503, 'headers-unclear'],
    [() => false, null, 'headers-front-unreachable'],
  ] as const)('says that it cannot tell', async (answers, status, code) => {
    const front = await serve((request, response) => {
      if (answers(request.headers['baggage']?.length ?? 0)) response.end()
      else if (status === null) response.destroy()
      else response.writeHead(status).end()
    })
    expect(codesOf((await doctor(['--front', front])).found, 'headers').at(-1)).toBe(code)
  })
})

describe('propagators', () => {
  const register = '--import=@opentelemetry/auto-instrumentations-node/register'
  it.each([
    [{}, 'propagators-not-told'],
    [{ OTEL_PROPAGATORS: 'b3' }, 'propagators-not-told'],
    [{ NODE_OPTIONS: register }, 'propagators-baggage'],
    [{ NODE_OPTIONS: register, OTEL_PROPAGATORS: 'tracecontext, baggage' }, 'propagators-baggage'],
    [{ NODE_OPTIONS: register, OTEL_PROPAGATORS: 'tracecontext' }, 'propagators-fit'],
  ])('looks whether an SDK that the environment sets up carries passports: %j', async (env, code) => {
    const found = await checkPropagators({ env } as never)
    expect(found.map((one) => one.code)).toEqual([code])
  })
})

it('waits for nothing longer than it may', async () => {
  const [opa, otlp, front, agent] = await Promise.all([silent(), silent(), silent(), silent()])
  const run = await kest(
    ['doctor', '--json', '--timeout', '0.2', '--opa', opa, '--otlp', otlp, '--front', front],
    { env: { SPIFFE_ENDPOINT_SOCKET: agent.replace('http', 'tcp') } },
  )
  expect(run.code).toBe(1)
  const found = lines(run).slice(0, -1) as unknown as Found[]
  const failed = found.filter(({ status }) => status === 'failure').map(({ check }) => check)
  expect(failed).toEqual(
    expect.arrayContaining(['identity', 'trust', 'engine', 'collector', 'clock', 'headers']),
  )
})
