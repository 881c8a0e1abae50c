// Adds up the test results (vitest's JSON) in a folder, names what was skipped and, last, what failed and how, and fails
// when something did or there are no results. A file names the steps that failed, `NAME<tab>WHY` a line: one whose results
// have no failure counts as one.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'

const [folder, failedSteps] = process.argv.slice(2)
const totals = { passed: 0, failed: 0, skipped: 0 }
const failures = []
const failing = new Set()
for (const file of readdirSync(folder)) {
  const result = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  totals.passed += result.numPassedTests
  const failed = result.numFailedTests + result.testResults.filter(didNotLoad).length
  totals.failed += failed
  if (failed > 0) failing.add(basename(file, '.json'))
  totals.skipped += result.numPendingTests + result.numTodoTests
  for (const suite of result.testResults) {
    const where = `(${basename(file, '.json')}): ${relative('.', suite.name)}`
    if (didNotLoad(suite)) failures.push(`failed ${where}\n${firstLines(suite.message)}`)
    for (const { status, fullName, failureMessages } of suite.assertionResults) {
      if (status === 'passed') continue
      const test = `${where} > ${fullName.trim()}`
      if (status === 'failed') failures.push(`failed ${test}\n${firstLines(failureMessages.join('\n'))}`)
      else console.log(`skipped ${test}`)
    }
  }
}
for (const line of readFileSync(failedSteps, 'utf8').split('\n').filter(Boolean)) {
  const [name, why] = line.split('\t')
  failures.push(`failed (${name}): ${why}`)
  if (!failing.has(name)) totals.failed++
}
for (const failure of failures) console.log(failure)
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
if (totals.passed === 0 || totals.failed > 0) process.exitCode = 1

/** A file that failed before its first test. */
function didNotLoad({ status, assertionResults }) {
  return status === 'failed' && assertionResults.every((test) => test.status !== 'failed')
}

function firstLines(message = '') {
  return message.split('\n', 12).join('\n').slice(0, 2000)
}
