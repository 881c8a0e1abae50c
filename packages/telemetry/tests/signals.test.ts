import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from './support/folder.js'
import { spansIn } from './support/spans.js'

const SERVICE = fileURLToPath(new URL('fixtures/signalled-service.mjs', import.meta.url))

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly said: string
}

/** Tells a service to end, once it has a record for each trail that is not exported yet. */
async function told(trails: readonly string[], listens: boolean): Promise<End> {
  const child = spawn(process.execPath, [SERVICE, JSON.stringify({ trails, listens })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const stdout = child.stdout as Readable
  const ended = once(child, 'close')
  const saying = text(stdout)
  await once(stdout, 'data')
  child.kill('SIGTERM')
  await ended
  return { code: child.exitCode, signal: child.signalCode, said: await saying }
}

describe('flushOn', () => {
  it('exports what is queued, and the process then ends by the signal, as it would have', async () => {
    const [first, second] = [temporaryFolder(), temporaryFolder()]
    expect(await told([first, second], false)).toMatchObject({ code: null, signal: 'SIGTERM' })
    expect([first, second].map((folder) => spansIn(folder).length)).toEqual([1, 1])
  })

  it('leaves the end to an application that listens, if only once', async () => {
    const [first, second] = [temporaryFolder(), temporaryFolder()]
    const { code, signal, said } = await told([first, second], true)
    expect({ code, signal, said }).toEqual({ code: 0, signal: null, said: 'ready\nended by itself\n' })
    expect([first, second].map((folder) => spansIn(folder).length)).toEqual([1, 1])
  })

  it('is refused in a worker, which no signal reaches', async () => {
    const worker = new Worker(new URL('fixtures/worker.mjs', import.meta.url))
    onTestFinished(() => void worker.terminate())
    expect(await once(worker, 'message')).toEqual([expect.stringMatching(/^ERR_KEST_CONFIG flushOn: /)])
  })
})
