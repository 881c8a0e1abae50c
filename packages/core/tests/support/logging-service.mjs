// A service that logs, once it is told that nobody reads its log any more.
import { once } from 'node:events'
import { stderrLogger } from '@kest/core'

await once(process.stdin, 'data')
for (let n = 1; n <= 3; n += 1) {
  stderrLogger.error({ n }, 'something is wrong')
  await new Promise((resolve) => setTimeout(resolve, 20))
}
process.stdout.write('still there\n', () => process.exit(0))
