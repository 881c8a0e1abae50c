// Loaded into a service before its program (`--import`): says which handlers run, and at SIGUSR2 does to the process what a
// file asks for: another clock, an event loop that stands still.
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync, writeSync } from 'node:fs'
import { basename } from 'node:path'

const name = basename(process.argv[1] ?? '', '.js')
const folder = new URL(import.meta.url).searchParams.get('folder')
const now = Date.now
let offMs = 0

class ShiftedDate extends Date {
  constructor(...args) {
    if (args.length === 0) super(now() + offMs)
    else super(...args)
  }

  static now() {
    return now() + offMs
  }
}
globalThis.Date = ShiftedDate

// Written at once, so that a kill takes none of it along.
const say = (what) => writeSync(1, `probe: ${JSON.stringify(what)}\n`)
subscribe('kest.lab.executed', (item) => say({ executed: item }))
process.on('SIGUSR2', () => {
  const { clockMs, blockMs } = JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'))
  if (clockMs !== undefined) offMs = clockMs
  say({ clockMs, blockMs })
  if (blockMs !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs)
})
