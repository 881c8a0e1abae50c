// Imported by a process that is measured: in the end it writes what all of its threads have used of processors, milliseconds.
process.on('exit', () => {
  const { user, system } = process.cpuUsage()
  process.stderr.write(`\ncpu ${(user + system) / 1000}\n`)
})
