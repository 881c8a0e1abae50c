import { expect, it } from 'vitest'
import { plot } from './plot.js'

const svg = plot({
  title: 'Cost & <place>',
  x: 'hops',
  y: 'µs',
  series: [
    {
      name: 'full',
      points: [
        [1, 10],
        [2, 55],
      ],
    },
    { name: 'tip', points: [[1, 20]] },
  ],
})

it('draws a line for each series, within the frame', () => {
  const paths = [...svg.matchAll(/<path d="M([\d.]+) ([\d.]+)(?:L([\d.]+) ([\d.]+))?" fill/g)]
  expect(paths).toHaveLength(2)
  for (const [, ...numbers] of paths) {
    for (const number of numbers.filter((one) => one !== undefined)) expect(Number(number)).toBeLessThan(720)
  }
  const [, , first, , second] = paths[0]!.map(Number) as [number, number, number, number, number]
  expect(second).toBeLessThan(first)
})

it('marks the axes from 0 on, up to what is there', () => {
  const marks = [...svg.matchAll(/text-anchor="end">(\d+)</g)].map(([, mark]) => Number(mark))
  expect(marks[0]).toBe(0)
  expect(marks.at(-1)).toBeGreaterThanOrEqual(55)
  expect(marks.length).toBeLessThan(10)
})

it('escapes what it is told', () => {
  expect(svg).toContain('Cost &amp; &lt;place>')
})
