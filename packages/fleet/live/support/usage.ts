import { readFileSync } from 'node:fs'

/** Of `/proc`: a hundredth of a second on every Linux. */
const TICK_MS = 10

/** What a process has used of processors, milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** What it has in memory, MiB. */
export function memoryMiB(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
  return Math.round(Number(kilobytes) / 1024)
}
