import { expect, it, onTestFinished, vi } from 'vitest'
import { runChild } from './run-child.js'

// What is waited for here is no time.
vi.mock('node:timers/promises', () => ({ setTimeout: async () => {} }))

it('is over when what it has killed is gone, and not before', async () => {
  const sent: unknown[] = []
  const kill = vi.spyOn(process, 'kill').mockImplementation((_group, signal) => {
    sent.push(signal || 'asked')
    // Gone at the third look after that.
    if (sent.at(-4) === 'SIGKILL') throw Object.assign(new Error('gone'), { code: 'ESRCH' })
    return true
  })
  onTestFinished(() => kill.mockRestore())
  expect(await runChild([process.execPath, '-e', ''], process.env)).toBe(0)
  expect(sent.filter((signal) => signal !== 'asked')).toEqual(['SIGTERM', 'SIGKILL'])
  expect(sent.slice(-4)).toEqual(['SIGKILL', 'asked', 'asked', 'asked'])
})
