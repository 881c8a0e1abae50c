import { FIGURES } from './figures/index.js'
import { OPA_FIGURES } from './figures/opa.js'
import { REDIS_FIGURES } from './figures/redis.js'
import { measure } from './measure.js'
import type { Task } from './measure-apart.js'

process.once('message', async ({ name, plan }: Task) => {
  const figure = [...FIGURES, ...OPA_FIGURES, ...REDIS_FIGURES].find((one) => one.name === name)
  if (figure === undefined) throw new Error(`there is no figure "${name}"`)
  // What a figure opened stays open, and would keep the process.
  process.send?.(await measure(figure, plan), undefined, undefined, () => process.exit())
})
