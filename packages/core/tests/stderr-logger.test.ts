import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { stderrLogger } from '@kest/core'
import { expect, it, onTestFinished, vi } from 'vitest'

const SERVICE = fileURLToPath(new URL('support/logging-service.mjs', import.meta.url))

it('logs a line of JSON with its time to stderr, from information on', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => write.mockRestore())
  stderrLogger.warn({ file: '100%s' }, 'is odd')
  stderrLogger.debug({}, 'in detail')
  stderrLogger.info({}, 'goes on')
  const lines = write.mock.calls.map(([line]) => String(line).replace(/\d{4}-\d\d-\d\dT[\d:.]{12}Z/, 'NOW'))
  expect(lines).toEqual([
    '{"time":"NOW","level":"warn","name":"kest","message":"is odd","file":"100%s"}\n',
    '{"time":"NOW","level":"info","name":"kest","message":"goes on"}\n',
  ])
})

it('writes nothing that a terminal obeys, and loses nothing', () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => write.mockRestore())
  const err = 'a\u001b[2J\u009b31m\u007f\u2028\u202eb\u{e0041}\ud800 ü'
  stderrLogger.error({ err }, 'fails\n')
  const line = String(write.mock.calls[0]?.[0])
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
  expect(JSON.parse(line)).toMatchObject({ err, message: 'fails\n' })
})

it('does not end the service when nobody reads stderr any more', async () => {
  const service = spawn(process.execPath, [SERVICE])
  onTestFinished(() => void service.kill('SIGKILL'))
  service.stderr.destroy()
  await once(service.stderr, 'close')
  service.stdin.write('go\n')
  const said = text(service.stdout)
  await once(service, 'close')
  expect([service.exitCode, await said]).toEqual([0, 'still there\n'])
})
