import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { RecordingLogger } from '@kest/core/testing'
import { expect, it, onTestFinished } from 'vitest'
import { createDevAuthority } from '../src/dev-authority/index.js'

const CHILD = fileURLToPath(new URL('fixtures/open-sources.mjs', import.meta.url))

it.each(['there', 'gone'])(
  'sources that nobody closed keep no process alive, with the agent %s',
  async (moment) => {
    const authority = await createDevAuthority({
      trustDomain: 'example.org',
      workloads: { hop1: {} },
      logger: new RecordingLogger(),
    })
    onTestFinished(() => authority.close())
    const child = spawn(process.execPath, [CHILD, authority.sockets['hop1'] as string, moment], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const closed = once(child, 'close')
    let said = ''
    for await (const chunk of child.stdout as Readable) {
      said += chunk
      if (said === 'stop it\n') await authority.stop()
    }
    expect(said).toContain('open: spiffe://example.org/hop1 spiffe://example.org/hop1\n')
    expect(await closed).toEqual([0, null])
  },
)
