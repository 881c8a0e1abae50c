import { readFileSync } from 'node:fs'

/** Ticks per second of `/proc`; 100 on every Linux that matters here. */
const TICKS = 100

/** CPU time that a process has used so far, milliseconds (proc(5), utime and stime); Linux only. */
export function cpuMillisecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS
}
