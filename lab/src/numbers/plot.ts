/** One line of a plot. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface PlotOptions {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly series: readonly Series[]
}

const WIDTH = 720
const HEIGHT = 400
const LEFT = 70
const RIGHT = 90
const TOP = 46
const BOTTOM = 54
/** Told apart also where colours are not. */
const STROKES = ['stroke="#0969da"', 'stroke="#bc4c00" stroke-dasharray="7 4"'] as const

/** A plot of lines as SVG, readable on light and on dark grounds. Both axes begin at 0. */
export function plot({ title, x, y, series }: PlotOptions): string {
  const points = series.flatMap((one) => one.points)
  const xMost = Math.max(...points.map(([at]) => at))
  const yStep = stepFor(Math.max(...points.map(([, value]) => value)))
  const yMost = Math.ceil(Math.max(...points.map(([, value]) => value)) / yStep) * yStep
  const toX = (value: number): number => LEFT + (value / xMost) * (WIDTH - LEFT - RIGHT)
  const toY = (value: number): number => HEIGHT - BOTTOM - (value / yMost) * (HEIGHT - TOP - BOTTOM)
  const at = (value: number): string => value.toFixed(1)

  const rules = range(0, yMost, yStep).map(
    (value) =>
      `<path d="M${LEFT} ${at(toY(value))}H${WIDTH - RIGHT}" stroke="#8884"/>` +
      `<text x="${LEFT - 8}" y="${at(toY(value) + 4)}" text-anchor="end">${value}</text>`,
  )
  const marks = range(0, xMost, stepFor(xMost)).map(
    (value) => `<text x="${at(toX(value))}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${value}</text>`,
  )
  const lines = series.map(({ name, points: own }, i) => {
    const path = own
      .map(([px, py], index) => `${index === 0 ? 'M' : 'L'}${at(toX(px))} ${at(toY(py))}`)
      .join('')
    const [lastX, lastY] = own.at(-1) ?? [0, 0]
    return (
      `<path d="${path}" fill="none" stroke-width="2.5" ${STROKES[i % STROKES.length]}/>` +
      `<text x="${at(toX(lastX) + 8)}" y="${at(toY(lastY) + 4)}">${escaped(name)}</text>`
    )
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(title)}</title>`,
    '<style>text{font:13px sans-serif;fill:#57606a}@media(prefers-color-scheme:dark){text{fill:#9ea7b3}}</style>',
    `<text x="${LEFT}" y="24" font-weight="bold">${escaped(title)}</text>`,
    ...rules,
    ...marks,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escaped(x)}</text>`,
    `<text transform="translate(18 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}

/** 1, 2 or 5 times a power of ten, so that there are four to eight steps. */
function stepFor(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 4))
  const factor = [5, 2, 1].find((candidate) => candidate * power <= most / 4) ?? 1
  return factor * power
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
