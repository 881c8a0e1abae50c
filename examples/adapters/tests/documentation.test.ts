import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')

it.each(['koa', 'hono'])('the adapter for %s is what the manual shows, and less than 60 lines', (name) => {
  const source = readFileSync(join(ROOT, 'examples/adapters/src', `${name}.ts`), 'utf8')
  expect(readFileSync(join(ROOT, 'docs/adapters.md'), 'utf8')).toContain(`\n\`\`\`ts\n${source}\`\`\`\n`)
  expect(source.split('\n').length - 1).toBeLessThan(60)
})
