import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { FIGURES } from './figures/index.js'
import { OPA_FIGURES } from './figures/opa.js'
import { REDIS_FIGURES } from './figures/redis.js'
import { measureApart } from './measure-apart.js'
import { FULL, type Plan, QUICK } from './plan.js'
import { run, selectFigures } from './run.js'

const USAGE = `npm run bench -- [--quick] [--cpu] [--filter TEXT]… [--json FILE]

  --quick         a few seconds: for a first look, not for conclusions
  --cpu           processor time instead of the wall's: for a machine that is busy with other things.
                  What the thread pool saves does not show in it.
  --filter TEXT   only figures whose group or name contains TEXT; may be repeated
  --json FILE     writes the figures as JSON as well`

/** Says what is wrong and how it is right, with exit code 2. Targets that are missed are no error. */
function refuse(why: string): void {
  console.error(`${why}\n\n${USAGE}`)
  process.exitCode = 2
}

async function main(args: readonly string[]): Promise<void> {
  let values: { quick?: boolean; cpu?: boolean; filter?: string[]; json?: string; help?: boolean }
  try {
    values = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        cpu: { type: 'boolean' },
        filter: { type: 'string', multiple: true },
        json: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    refuse((error as Error).message)
    return
  }
  if (values.help) {
    console.log(USAGE)
    return
  }
  const figures = selectFigures([...FIGURES, ...OPA_FIGURES, ...REDIS_FIGURES], values.filter ?? [])
  if (figures.length === 0) {
    refuse('no figure has such a name')
    return
  }
  const plan: Plan = { ...(values.quick ? QUICK : FULL), clock: values.cpu ? 'cpu' : 'wall' }
  const report = await run(figures, plan, { measure: measureApart, print: (line) => console.log(line) })
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
}

await main(process.argv.slice(2))
