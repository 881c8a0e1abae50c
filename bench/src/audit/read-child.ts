// Reads an export until so many spans have come: node read-child.js FOLDER SPANS MAX-LINE-BYTES. Prints what that held in memory.
import { readFiles } from '@kest/audit'

const SAMPLES = 20
const [folder = '', wanted = '', maxLineBytes = ''] = process.argv.slice(2)

const start = performance.now()
const residentMiB: number[] = []
let spans = 0
reading: for (;;) {
  for await (const batch of readFiles([folder], { maxLineBytes: Number(maxLineBytes) })) {
    spans += batch.spans.length
    if (spans >= (residentMiB.length + 1) * (Number(wanted) / SAMPLES)) {
      residentMiB.push(Math.round(process.memoryUsage.rss() / 1024 / 1024))
    }
    if (spans >= Number(wanted)) break reading
  }
}
const seconds = (performance.now() - start) / 1000
process.stdout.write(JSON.stringify({ spans, seconds, residentMiB }))
