import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CannotRun } from '../failure.js'
import { planIdentities } from '../servers/plan-identities.js'
import { Programs } from './programs.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-programs-'))
const [first, second] = [join(folder, 'first'), join(folder, 'second')]

beforeAll(() => {
  for (const path of [first, second]) mkdirSync(path)
  for (const file of [join(first, 'opa'), join(second, 'opa'), join(second, 'otelcol')]) {
    writeFileSync(file, '')
    chmodSync(file, 0o755)
  }
  writeFileSync(join(first, 'otelcol'), 'not a program')
  mkdirSync(join(first, 'spire-server'))
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('programs', () => {
  it('are looked for in the folder that was named, then on PATH', () => {
    expect(new Programs(first, second).find('opa')).toBe(join(first, 'opa'))
    expect(new Programs(null, [second, first].join(delimiter)).find('opa')).toBe(join(second, 'opa'))
  })

  it('are files that can be run', () => {
    expect(new Programs(first, second).find('otelcol')).toBe(join(second, 'otelcol'))
    expect(new Programs(first, second).find('spire-server')).toBeUndefined()
  })

  it('are all named when they are missing, with where to have them from', () => {
    const programs = new Programs(null, first)
    expect(() => programs.require('opa', 'otelcol', 'other')).toThrow(CannotRun)
    expect(() => programs.require('opa', 'otelcol', 'other')).toThrow(
      /^otelcol and other: not on PATH.*live-tools\.sh/,
    )
    expect(programs.findAll('opa', 'otelcol')).toBeNull()
  })
})

describe('identities', () => {
  it('are those of the embedded Workload API where SPIRE is not, and say so', () => {
    const { description } = planIdentities(new Programs(null, first), null)
    expect(description).toMatch(/embedded Workload API.*spire-agent are not on PATH/)
  })

  it('are no others than those that were asked for', () => {
    expect(() => planIdentities(new Programs(null, first), 'spire')).toThrow(CannotRun)
    expect(planIdentities(new Programs(null, first), 'embedded').description).toContain('as was asked for')
  })
})
