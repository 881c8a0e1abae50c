// Outlives the lab by a moment: ends every process group that the lab started and did not end, and removes its folder.
// OPA and the Collector would not notice by themselves that whoever started them was killed.
import { rmSync } from 'node:fs'
import type { WardenMessage } from './warden-messages.js'

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('the warden is started by the lab: npm run lab')

const groups = new Set<number>()
// A terminal's interrupt is the lab's to answer.
for (const name of ['SIGINT', 'SIGHUP', 'SIGTERM']) process.on(name, () => {})
process.on('message', ({ group, ended }: WardenMessage) => {
  if (ended) groups.delete(group)
  else groups.add(group)
})
process.once('disconnect', tidy)
// The lab may be gone already; it starts nothing before it hears this.
if (process.connected) process.send?.('ready')
else tidy()

function tidy(): void {
  for (const group of groups) {
    try {
      process.kill(-group, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  rmSync(folder as string, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  process.exit(0)
}
