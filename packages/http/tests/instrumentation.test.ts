import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, it } from 'vitest'
import { expectOwnPassports, INSTRUMENTED_APP, ORDERS } from './support/beside-instrumentation.js'

/** The line that runs on every Node; `tests/opentelemetry.test.ts` has the one after it. */
const SDK = '@opentelemetry/sdk-trace-base'

describe('beside HttpInstrumentation', () => {
  it.each(ORDERS)(
    'K-AMBIENT K-SCOPE a stranger gets nothing of ours, and the next hop one passport, the right one: %s',
    (_, order) =>
      expectOwnPassports(async (...origins) => {
        const args = [INSTRUMENTED_APP, order, ...origins, SDK]
        return (await promisify(execFile)(process.execPath, args)).stdout
      }),
  )
})
