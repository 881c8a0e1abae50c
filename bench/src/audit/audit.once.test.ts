import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/audit/main.js', import.meta.url))
const LARGE = fileURLToPath(new URL('../../dist/audit/large.js', import.meta.url))

describe('bench:audit', () => {
  it('audits a small export, and says what it found, how fast, and in how much memory', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [MAIN, '--traces', '300', '--each', '1', '--spans', '2000', '--raw-seconds', '0.1'],
      { encoding: 'utf8' },
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^found {6}exactly what was planted$/m)
    expect(stdout).toMatch(/^rate {7}\d+\.\d\d of raw verification/m)
    expect(stdout).toMatch(/^memory {5}\d+ MiB at most/m)
    expect(stdout).toMatch(/^readers {4}\d+ spans in \d+ s; resident MiB at each twentieth:( \d+){1,20}$/m)
  })

  it.each([
    ['an option that there is not', ['--trace', '5']],
    ['a size that is none', ['--traces', '0']],
  ])('refuses %s', (_, args) => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('npm run bench:audit')
  })
})

describe('bench:audit:large', () => {
  it('audits what is large in one way, and says what came of it, and in how much memory', () => {
    const args = [LARGE, '--shape', 'one-trace', '--count', '200', '--heap', '200']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^one-trace +200 spans: 1 verified; 0 denials; findings: 1 forked; \d+ s; \d+ MiB at most, in a heap of 200$/m,
    )
  })

  it.each([
    ['a shape that there is not', ['--shape', 'toString']],
    ['a size that is none', ['--count', '-1']],
  ])('refuses %s', (_, args) => {
    const { status, stderr } = spawnSync(process.execPath, [LARGE, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('npm run bench:audit:large')
  })
})
