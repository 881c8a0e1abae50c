import { once } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { SPIREProvider } from '@kest/spiffe'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folder, kest, type Run, type Running, start } from './support/kest.js'

const { execPath } = process

/** Says that it is there, and how it ended. */
const SERVICE = `
  setInterval(() => {}, 1000)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
    process.on(signal, () => { console.log('ended by ' + signal); process.exit(7) })
  console.log('ready')
`
/** Starts one that heeds no SIGTERM, and ends without it. */
const LEAVES_ONE_BEHIND = `
  const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); process.send('ready')"
  const child = require('node:child_process').spawn(process.execPath, ['-e', stubborn], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  child.on('message', () => process.exit(3))
`
/** Takes SIGHUP for something else, and ends; what it started ends by SIGTERM alone. */
const RELOADS = `
  const { spawn } = require('node:child_process')
  const service = "process.on('SIGHUP', () => {}); process.on('SIGTERM', () => { console.log('ended by SIGTERM'); process.exit() }); setInterval(() => {}, 1000); process.send('ready')"
  spawn(process.execPath, ['-e', service], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] }).on('message', () => console.log('ready'))
  process.on('SIGHUP', () => process.exit(3))
`

async function dev(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return kest(['dev', ...args], { env })
}

/** One that runs, once it or what it started has printed this. */
async function running(text: string, args: readonly string[], env = {}): Promise<Running> {
  const one = start(['dev', ...args], { env })
  onTestFinished(() => void one.child.kill('SIGKILL'))
  let printed = ''
  for await (const [chunk] of on(one)) {
    printed += chunk
    if (printed.includes(text)) return one
  }
  throw new Error((await one.ended).stderr)
}

async function* on({ child }: Running): AsyncGenerator<[string]> {
  const closed = once(child, 'close').then(() => undefined)
  for (;;) {
    const next = (await Promise.race([once(child.stdout, 'data'), closed])) as [Buffer] | undefined
    if (next === undefined) return
    yield [next[0].toString()]
  }
}

const print = (expression: string): string[] => ['--', execPath, '-p', `JSON.stringify(${expression})`]

describe('kest dev', () => {
  it('gives each workload a socket of its own, and none of several to everybody', async () => {
    const { code, stdout, stderr } = await dev(
      [
        '--workloads',
        'edge,orders',
        ...print('[process.env.KEST_DEV, process.env.SPIFFE_ENDPOINT_SOCKET ?? null]'),
      ],
      { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/spire/agent.sock' },
    )
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual([expect.stringMatching(/^unix:\/\/\/.+\/kest-cli-/), null])
    expect(stderr).toContain('edge    SPIFFE_ENDPOINT_SOCKET=$KEST_DEV/edge.sock\n')
    expect(stderr).toContain('orders  SPIFFE_ENDPOINT_SOCKET=$KEST_DEV/orders.sock\n')
  })

  it('gives a single workload its socket, whatever the environment says', async () => {
    const { stdout } = await dev(
      ['--workloads', 'orders', ...print('[process.env.KEST_DEV, process.env.SPIFFE_ENDPOINT_SOCKET]')],
      { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/spire/agent.sock' },
    )
    const [base, own] = JSON.parse(stdout) as [string, string]
    expect(own).toBe(`${base}/orders.sock`)
  })

  it('says where the sockets are, wherever a process of its own works', async () => {
    const { stdout } = await kest(['dev', '--workloads', 'a,b', ...print('process.env.KEST_DEV')], {
      cwd: await folder({}),
      env: { TMPDIR: '.' },
    })
    expect(JSON.parse(stdout)).toMatch(/^unix:\/\/\/.+\/kest-cli-/)
  })

  it('says it as an address, whatever the folder for temporary files is called', async () => {
    const files = `${await folder({})}/a#b%20?`
    await mkdir(files)
    const script = "console.log(process.env.KEST_DEV + '/orders.sock'); setInterval(() => {}, 1000)"
    const one = start(['dev', '--workloads', 'edge,orders', '--', execPath, '-e', script], {
      env: { TMPDIR: files },
    })
    onTestFinished(() => void one.child.kill('SIGKILL'))
    const { value } = await on(one).next()
    const identity = await SPIREProvider.connect({ address: value[0].trim() })
    expect(identity.getWorkloadId()).toBe('spiffe://example.org/orders')
    identity.close()
    one.child.kill('SIGTERM')
    await one.ended
  })

  it('gives identities of the trust domain, and has sockets alone in a private folder', async () => {
    const files = await folder({})
    const one = await running(
      'ready',
      [
        ...['--workloads', 'edge', '--workloads', 'orders', '--trust-domain', 'dev.example'],
        ...['--write-trust', `${files}/trust.json`, '--', execPath, '-e', SERVICE],
      ],
      { TMPDIR: files },
    )
    const [place] = (await readdir(files)).filter((name) => name.startsWith('kest-cli-'))
    const found = await readdir(`${files}/${place}`, { withFileTypes: true })
    expect(found.map((file) => [file.name, file.isSocket()])).toEqual([
      ['edge.sock', true],
      ['orders.sock', true],
    ])
    const identity = await SPIREProvider.connect({ address: `unix://${files}/${place}/orders.sock` })
    expect(identity.getWorkloadId()).toBe('spiffe://dev.example/orders')
    identity.close()
    one.child.kill('SIGTERM')
    await one.ended
    expect(await readdir(files)).toEqual(['trust.json'])
    const written = await readFile(`${files}/trust.json`, 'utf8')
    expect(JSON.parse(written)).toMatchObject({ bundles: { 'dev.example': { keys: expect.any(Array) } } })
    for (const { d } of JSON.parse(written).bundles['dev.example'].keys) expect(d).toBeUndefined()
  })

  it.each([
    ['process.exit(0)', 0],
    ['process.exit(42)', 42],
    ["process.kill(process.pid, 'SIGKILL')", 137],
  ])('ends as the command does: %s', async (script, status) => {
    expect((await dev(['--workloads', 'a', '--', execPath, '-e', script])).code).toBe(status)
  })

  it('hands the arguments of the command on as they are', async () => {
    const { stdout } = await dev([
      '--workloads',
      'a',
      ...print('process.argv.slice(1)'),
      '--',
      '--help',
      'two words',
      '',
    ])
    expect(JSON.parse(stdout)).toEqual(['--help', 'two words', ''])
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)(
    'forwards %s, to what a shell started as well, and ends when they have',
    async (signal) => {
      const script = '"$0" -e "$1"; exit 5'
      const one = await running('ready', ['--workloads', 'a', '--', 'sh', '-c', script, execPath, SERVICE])
      one.child.kill(signal)
      const { code, stdout } = await one.ended
      expect(stdout).toBe(`ready\nended by ${signal}\n`)
      expect(code).toBeGreaterThan(0)
    },
  )

  it('ends what a command leaves behind, and kills what does not end', async () => {
    const files = await folder({})
    const { code } = await dev(['--workloads', 'a', '--', execPath, '-e', LEAVES_ONE_BEHIND], {
      TMPDIR: files,
    })
    // Its output was closed, which everything that was started has.
    expect(code).toBe(3)
    expect(await readdir(files)).toEqual([])
  })

  it('tells what is left to end, whatever signal came before', async () => {
    const one = await running('ready', ['--workloads', 'a', '--', execPath, '-e', RELOADS])
    one.child.kill('SIGHUP')
    expect(await one.ended).toMatchObject({ code: 3, stdout: 'ready\nended by SIGTERM\n' })
  })

  it('starts nothing in production', async () => {
    const files = await folder({})
    const { code, stdout, stderr } = await dev(['--workloads', 'a', '--', execPath, '-e', SERVICE], {
      NODE_ENV: 'production',
      TMPDIR: files,
    })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toBe(
      'kest: development authority: it attests nothing, and so does not run in production\n',
    )
    expect(await readdir(files)).toEqual([])
  })

  it('says so when the command is not there, and leaves nothing', async () => {
    const files = await folder({})
    const { code, stderr } = await dev(['--workloads', 'a', '--', 'no-such-command'], { TMPDIR: files })
    expect(code).toBe(2)
    expect(stderr).toContain('kest: no-such-command: it cannot be started: ENOENT\n')
    expect(await readdir(files)).toEqual([])
  })

  it.each([
    [['--workloads', 'a', 'npm', 'run', 'dev'], 'which command? It comes behind "--"'],
    [['--workloads', 'a', '--'], 'which command?'],
    [['--workloads', 'a', '--', ''], 'which command?'],
    [['--', 'npm', 'start'], '--workloads: expected names, separated by commas'],
    [['--workloads', ',', '--', 'npm', 'start'], '--workloads: expected names'],
    [['--workloads', 'a,b', '--workloads', 'a', '--', 'npm', 'start'], '--workloads: a is named twice'],
    [['--workload', 'a', '--', 'npm', 'start'], 'unknown option --workload; did you mean --workloads?'],
    [['--workloads', 'a/b', '--', 'npm', 'start'], 'workloads: "a/b": expected at most 40 of'],
    [['--workloads', 'a', '--trust-domain', 'A', '--', 'npm', 'start'], 'trust domain'],
  ])('refuses %j', async (args, why) => {
    const { code, stderr } = await dev(args)
    expect(code).toBe(2)
    expect(stderr).toContain(why)
  })
})
