import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Figure } from './figure.js'
import { FIGURES } from './figures/index.js'
import { measure } from './measure.js'
import type { Plan } from './plan.js'
import type { ReportedFigure } from './report.js'
import { run, selectFigures } from './run.js'
import { spreadOf } from './statistics.js'
import { formatFigure } from './table.js'

/** Enough to see that everything works, and nothing about how fast. */
const TINY: Plan = { rounds: 2, roundMs: 1, sliceMs: 0.1, warmUpMs: 0, clock: 'wall' }
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

describe('figures', () => {
  it.each(FIGURES.map((figure) => [`${figure.group}: ${figure.name}`, figure] as const))(
    '%s is measured',
    async (_, figure) => {
      const lines: string[] = []
      const { figures } = await run([figure], TINY, { measure, print: (line) => lines.push(line) })
      expect(figures).toHaveLength(1)
      const { ratio, subject, floor, target, met } = figures[0] as ReportedFigure
      for (const { p10, median, p90 } of [ratio, subject, floor]) {
        // Of memory more may become free meanwhile than what is measured takes; and a difference of two times may be any.
        if (figure.unit === 'bytes' || figure.added) expect(p10).not.toBeNaN()
        else expect(p10).toBeGreaterThan(0)
        if (figure.unit === 'µs' && figure.added) continue
        expect(median).toBeGreaterThanOrEqual(p10)
        expect(p90).toBeGreaterThanOrEqual(median)
      }
      expect(target).toBe(figure.target ?? null)
      expect(met).toBe(target === null ? null : ratio.median <= target)
      expect(lines.join('\n')).toContain(figure.name)
    },
  )

  it('each has a name of its own', () => {
    expect(new Set(FIGURES.map(({ name }) => name)).size).toBe(FIGURES.length)
  })
})

describe('the ratio', () => {
  it('is that of what both sides take, whatever their order', async () => {
    const busy = (ms: number) => (): void => {
      const end = performance.now() + ms
      while (performance.now() < end);
    }
    const figure: Figure = {
      group: 'hook',
      name: 'three times as long',
      unit: 'µs',
      floor: 'a while',
      prepare: async () => ({ floor: busy(0.2), subject: busy(0.6) }),
    }
    const { figures } = await run([figure], { ...TINY, rounds: 9, roundMs: 8 }, { measure, print: () => {} })
    const { ratio, subject } = figures[0] as ReportedFigure
    // Both wait for the clock, so that not even a busy machine turns the order round.
    expect(ratio.median).toBeGreaterThan(1)
    expect(subject.median).toBeGreaterThanOrEqual(600)
  })
})

describe('statistics', () => {
  it('interpolates between the values', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, p10: 1.3, p90: 3.7 })
    expect(spreadOf([7])).toEqual({ median: 7, p10: 7, p90: 7 })
  })

  it('has nothing to say of nothing', () => {
    expect(() => spreadOf([])).toThrow(RangeError)
  })
})

describe('selection', () => {
  it('takes the figures whose group or name contains a text', () => {
    const names = (...filters: string[]) => selectFigures(FIGURES, filters).map(({ name }) => name)
    expect(names()).toHaveLength(FIGURES.length)
    expect(names('MEMORY')).toEqual(FIGURES.filter(({ group }) => group === 'memory').map(({ name }) => name))
    expect(names('held PASSPORT')).toEqual(['a held passport of 10 entries'])
    expect(names('jwtverify', 'signjwt')).toEqual([
      "jose's SignJWT, the same payload",
      "jose's jwtVerify, the same entry",
    ])
    expect(names('no such figure')).toEqual([])
  })
})

describe('the table', () => {
  it('marks a target as met or missed, and names a group once', () => {
    const spread = { median: 1.3, p10: 1.2, p90: 1.4 }
    const figure: ReportedFigure = {
      group: 'hook',
      name: 'x',
      floorIs: 'y',
      unit: 'µs',
      target: 1.4,
      met: true,
      ratio: spread,
      subject: spread,
      floor: spread,
    }
    expect(formatFigure(figure, undefined)).toMatch(/^hook\n {2}x .* 1\.30 +1\.20 – 1\.40 +≤ 1\.4 ✓ +1\.3 µs/)
    expect(formatFigure({ ...figure, target: 1.2, met: false }, figure)).toMatch(/^ {2}x .*≤ 1\.2 ✗/)
    expect(formatFigure({ ...figure, target: null, met: null }, figure)).not.toMatch(/[≤✓✗]/)
  })
})

describe('the command', () => {
  it('writes what it measured as JSON', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kest-bench-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'figures.json')
    const args = ['--quick', '--cpu', '--filter', 'SignJWT', '--json', file]
    const { status, stdout } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    expect(status).toBe(0)
    expect(stdout).toContain("jose's SignJWT, the same payload")
    const report: unknown = JSON.parse(readFileSync(file, 'utf8'))
    expect(report).toMatchObject({
      format: 'kest-bench-1',
      environment: { node: process.version, parallelism: expect.any(Number) },
      plan: { clock: 'cpu' },
      figures: [
        { group: 'sign', unit: 'µs', target: null, met: null, ratio: { median: expect.any(Number) } },
      ],
    })
  })

  it.each([[['--fast']], [['--filter', 'no such figure']]])('refuses %j with exit code 2', (args) => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('npm run bench')
  })
})
