// Loaded into a service before its program (`--expose-gc --import`): says every second what it holds after a collection.
import { MEMORY_LINE } from './memory.js'

const collect = (globalThis as { gc?: () => void }).gc
if (collect === undefined) throw new Error('the memory probe needs --expose-gc')
setInterval(() => {
  collect()
  const { rss, heapUsed } = process.memoryUsage()
  console.log(`${MEMORY_LINE}${JSON.stringify({ at: Date.now(), rss, heap: heapUsed })}`)
}, 1_000).unref()
