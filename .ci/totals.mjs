// Adds up the test results (vitest's JSON) in a folder, names what was skipped, and fails when there are none.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'

const [folder] = process.argv.slice(2)
const totals = { passed: 0, failed: 0, skipped: 0 }
for (const file of readdirSync(folder)) {
  const result = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  totals.passed += result.numPassedTests
  totals.failed += result.numFailedTests + result.testResults.filter(didNotLoad).length
  totals.skipped += result.numPendingTests + result.numTodoTests
  for (const { name, assertionResults } of result.testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status === 'passed' || status === 'failed') continue
      console.log(`skipped (${basename(file, '.json')}): ${relative('.', name)} > ${fullName.trim()}`)
    }
  }
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
if (totals.passed === 0 || totals.failed > 0) process.exitCode = 1

/** A file that failed before its first test. */
function didNotLoad({ status, assertionResults }) {
  return status === 'failed' && assertionResults.every((test) => test.status !== 'failed')
}
