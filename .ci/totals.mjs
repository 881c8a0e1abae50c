// Adds up the test results (vitest's JSON) in a folder, and fails when there are none.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder] = process.argv.slice(2)
const totals = { passed: 0, failed: 0, skipped: 0 }
for (const file of readdirSync(folder)) {
  const result = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  totals.passed += result.numPassedTests
  totals.failed += result.numFailedTests + result.testResults.filter(didNotLoad).length
  totals.skipped += result.numPendingTests + result.numTodoTests
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
if (totals.passed === 0 || totals.failed > 0) process.exit(1)

/** A file that failed before its first test. */
function didNotLoad({ status, assertionResults }) {
  return status === 'failed' && assertionResults.every((test) => test.status !== 'failed')
}
