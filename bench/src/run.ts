import type { Figure } from './figure.js'
import type { Measurement, Plan } from './plan.js'
import { environment, REPORT_FORMAT, type Report, type ReportedFigure, reported } from './report.js'
import { formatFigure, formatHeader } from './table.js'

/** Figures whose group or name contains one of the texts, in any case; all when there is no text. */
export function selectFigures(figures: readonly Figure[], filters: readonly string[]): readonly Figure[] {
  if (filters.length === 0) return figures
  const wanted = filters.map((filter) => filter.toLowerCase())
  return figures.filter(({ group, name }) => {
    const text = `${group}: ${name}`.toLowerCase()
    return wanted.some((filter) => text.includes(filter))
  })
}

/** Who measures, and who hears of it. */
export interface Runner {
  measure(figure: Figure, plan: Plan): Promise<Measurement>
  print(line: string): void
}

/** Measures figures, one after the other, and prints each when it is known. */
export async function run(
  figures: readonly Figure[],
  plan: Plan,
  { measure, print }: Runner,
): Promise<Report> {
  const where = environment()
  print(formatHeader(where, plan))
  const results: ReportedFigure[] = []
  for (const figure of figures) {
    const result = reported(figure, await measure(figure, plan))
    print(formatFigure(result, results.at(-1)))
    results.push(result)
  }
  return { format: REPORT_FORMAT, environment: where, plan, figures: results }
}
