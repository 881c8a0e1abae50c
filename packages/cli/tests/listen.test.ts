import { readdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { audit } from '../src/commands/audit.js'
import { folder, kest, type Running, start } from './support/kest.js'
import { entryBy, exported, KEYS } from './support/spans.js'
import { startWithin } from './support/within.js'

/** Where the command listens, once it does. */
async function urlOf({ child, ended }: Running): Promise<string> {
  let said = ''
  const heard = new Promise<string>((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      said += data.toString()
      const [, url] = /^listening on (\S+)\n/.exec(said) ?? []
      if (url !== undefined) resolve(url)
    })
  })
  const failed = ended.then(({ stderr }) => {
    throw new Error(stderr)
  })
  return Promise.race([heard, failed])
}

async function listening(args: readonly string[] = [], env = {}): Promise<Running> {
  const path = await folder({ 'keys.json': KEYS })
  const command = ['audit', '--listen', '127.0.0.1:0', '--keys', `${path}/keys.json`, ...args]
  const running = start(command, { env })
  onTestFinished(() => void running.child.kill('SIGKILL'))
  return running
}

async function send(url: string, body: string): Promise<number> {
  const { status } = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  return status
}

/** Three services, now: what is received is held against the time at which it came. */
function chainOfNow() {
  const now = { timestamp_ms: Date.now() }
  const first = entryBy('gateway', [], now)
  const second = entryBy('orders', [first], now)
  return [first, second, entryBy('payments', [second], now)] as const
}

describe('kest audit --listen', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'proves what services sent, when it is told to stop by %s',
    async (signal) => {
      const running = await listening()
      const url = await urlOf(running)
      const [first, second, third] = chainOfNow()
      for (const entry of [third, first, second]) expect(await send(url, exported(entry))).toBe(200)
      running.child.kill(signal)
      const { code, stdout } = await running.ended
      expect(stdout).toContain(`trace ${first.entry.labels['trace_id']}: verified`)
      expect(stdout).toContain('1 traces: 1 verified')
      expect(code).toBe(0)
    },
  )

  it('K-ANCHOR judges by what trust files say when it judges', async () => {
    const path = await folder({ 'keys.json': { keys: {} } })
    const running = start(['audit', '--listen', '127.0.0.1:0', '--keys', `${path}/keys.json`])
    onTestFinished(() => void running.child.kill('SIGKILL'))
    const url = await urlOf(running)
    const [first] = chainOfNow()
    expect(await send(url, exported(first))).toBe(200)
    await writeFile(`${path}/keys.json`, JSON.stringify(KEYS))
    running.child.kill('SIGTERM')
    const { code, stdout, stderr } = await running.ended
    expect(stdout).toContain(`trace ${first.entry.labels['trace_id']}: verified`)
    expect(stderr).toContain('read again, and counts from now on')
    expect(code).toBe(0)
  })

  it('K-ANCHOR judges by what trust files said before when they cannot be read by then, and says so', async () => {
    const path = await folder({ 'keys.json': KEYS })
    const running = start(['audit', '--listen', '127.0.0.1:0', '--keys', `${path}/keys.json`])
    onTestFinished(() => void running.child.kill('SIGKILL'))
    const url = await urlOf(running)
    const [first] = chainOfNow()
    expect(await send(url, exported(first))).toBe(200)
    await rm(`${path}/keys.json`)
    running.child.kill('SIGTERM')
    const { code, stdout, stderr } = await running.ended
    expect(stdout).toContain(`trace ${first.entry.labels['trace_id']}: verified`)
    expect(stderr).toMatch(
      /keys\.json: it cannot be read: there is no such file; what was there before counts/,
    )
    expect(code).toBe(0)
  })

  it('K-OBSERVE shows what observing has shown of what services sent, once it is told to stop and not before', async () => {
    const running = await listening(['--observed'])
    const url = await urlOf(running)
    let shown = ''
    running.child.stdout.on('data', (data: Buffer) => {
      shown += data.toString()
    })
    const now = { timestamp_ms: Date.now() }
    const first = entryBy('gateway', [], { ...now, operation: 'edge' })
    const labels = {
      'kest.observed': JSON.stringify([{ code: 'ERR_KEST_DENIED', policy: 'b', tier: 'function' }]),
    }
    for (const entry of [entryBy('orders', [first], { ...now, labels }), first])
      expect(await send(url, exported(entry))).toBe(200)
    expect(shown).toBe('')
    running.child.kill('SIGINT')
    const { code, stdout } = await running.ended
    expect(stdout).toContain('GET /orders/:id of spiffe://kest.test/orders\n')
    expect(stdout).toMatch(
      /^ {2}function: b +\| 1 +\| 1 +\| 1 ERR_KEST_DENIED +\| 1 spiffe:\/\/kest\.test\/gateway .*\| no: refused *$/m,
    )
    expect(stdout).toContain('1 traces: 1 verified')
    expect(code).toBe(0)
  })

  it('ends at once when it is told a second time, though somebody still sends, and leaves no file behind', async () => {
    const temporary = await folder({})
    const running = await listening([], { TMPDIR: temporary })
    const url = await urlOf(running)
    const slow = request(url, { method: 'POST', headers: { 'content-type': 'application/json' } })
    slow.on('error', () => undefined)
    slow.write('{')
    // It has been seen once another is answered.
    expect(await send(url, exported(entryBy('gateway', [], { timestamp_ms: Date.now() })))).toBe(200)
    expect(await readdir(temporary)).toHaveLength(1)
    running.child.kill('SIGINT')
    await expect.poll(() => send(url, '{}').catch(() => 'closed')).toBe('closed')
    running.child.kill('SIGTERM')
    await running.ended
    expect(running.child.signalCode).toBe('SIGTERM')
    expect(await readdir(temporary)).toEqual([])
  })

  it('reports what it could not read, and fails', async () => {
    const running = await listening()
    const url = await urlOf(running)
    expect(await send(url, exported(entryBy('gateway', [], { timestamp_ms: Date.now() })))).toBe(200)
    expect(await send(url, '{')).toBe(400)
    running.child.kill('SIGINT')
    const { code, stdout } = await running.ended
    expect(stdout).toMatch(/unreadable.*otlp:2/)
    expect(code).toBe(1)
  })

  it('stops when nothing comes any more, and takes files beside', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const [first, second, third] = chainOfNow()
    const path = await folder({ 'keys.json': KEYS, 'spans.jsonl': exported(first, second) })
    const options = ['--listen', '127.0.0.1:0', '--keys', `${path}/keys.json`, '--idle', '86400', '--json']
    const { written, ended } = startWithin(audit, [...options, `${path}/spans.jsonl`])
    await expect.poll(() => written.stderr).toMatch(/^listening on \S+\n/)
    const url = written.stderr.split(/\s/)[2] as string
    expect(await send(url, exported(third))).toBe(200)
    vi.advanceTimersByTime(86_400_000)
    const { code, stdout } = await ended
    expect(JSON.parse(stdout.split('\n')[0] as string)).toMatchObject({ verdict: 'verified' })
    expect(code).toBe(0)
  })

  it('stops after the time that it was given, and says that nothing came', async () => {
    const { code, stderr } = await (await listening(['--for', '0.2'])).ended
    expect(stderr).toMatch(
      /^listening on http:\/\/127\.0\.0\.1:\d+\/v1\/traces\nkest: no span of Kest is there\n$/,
    )
    expect(code).toBe(2)
  })

  it('says when it cannot listen there', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const path = await folder({ 'keys.json': KEYS })
    const { code, stderr } = await kest(['audit', '--listen', `${port}`, '--keys', `${path}/keys.json`])
    expect(stderr).toBe(`kest: --listen: cannot listen on 127.0.0.1, port ${port}: EADDRINUSE\n`)
    expect(code).toBe(2)
  })

  it.each([
    ['an address that is none', ['--listen', 'here']],
    ['a time that is none', ['--listen', '0', '--for', 'ever']],
    ['a time without listening', ['--idle', '5', 'spans.jsonl']],
  ])('refuses %s', async (_, args) => {
    const { code, stderr } = await kest(['audit', ...args])
    expect(stderr).toMatch(/^kest: --/)
    expect(code).toBe(2)
  })
})
