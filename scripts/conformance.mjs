// Which test shows which requirement: writes docs/conformance.md from the titles of the tests. With --check it writes
// nothing, and fails when that page is out of date or a requirement of the foundation has no test.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { format } from 'node:util'
import ts from 'typescript'
import { packageFolders, readJson, root } from './workspace.mjs'

const ID = /\b(?:F-[A-Z]{2}-\d{2}|NF-[A-Z]+-\d{2}|K-[A-Z0-9]+|TC-\d{2})\b/g
const PAGE = join(root, 'docs/conformance.md')
const requirements = readJson(join(root, 'docs/conformance.json'))

const tests = ['tests', ...packageFolders()].flatMap(testFiles).flatMap(titles)
const page = render()
const problems = unknownIds()
if (process.argv.includes('--check')) {
  problems.push(...untested())
  if (readOrNothing(PAGE) !== page) problems.push('docs/conformance.md is out of date: npm run conformance')
} else {
  writeFileSync(PAGE, page)
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1

/** Suites are declared by the tests of several packages. */
function testFiles(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      // What is installed or built is not walked: it is a thousand times as much.
      if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : testFiles(path)
      return /(\.test|-suite)\.ts$/.test(entry.name) ? [path] : []
    })
    .sort()
}

/** Every title of a test or a group in the file that names requirements. Skipped ones show nothing. */
function titles(file) {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest)
  const found = []
  visit(source)
  return found

  function visit(node) {
    if (ts.isCallExpression(node)) {
      const words = calleeWords(node.expression)
      if (words.includes('skip') || words.includes('todo')) return
      const title = node.arguments[0]
      if (['it', 'test', 'describe'].includes(words[0]) && title && isText(title)) {
        const text = title.getText(source).slice(1, -1)
        const ids = text.match(ID)
        if (ids) found.push({ file, text, ids: new Set(ids) })
      }
    }
    ts.forEachChild(node, visit)
  }
}

/** `it.each(rows)` → it, each. */
function calleeWords(node) {
  if (ts.isIdentifier(node)) return [node.text]
  if (ts.isPropertyAccessExpression(node)) return [...calleeWords(node.expression), node.name.text]
  if (ts.isCallExpression(node) || ts.isTaggedTemplateExpression(node)) {
    return calleeWords(node.expression ?? node.tag)
  }
  return ['']
}

function isText(node) {
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)
}

function testsOf(id) {
  return tests.filter(({ ids }) => ids.has(id))
}

function render() {
  const rows = (ids) =>
    Object.entries(ids)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, text]) => `| ${id} | ${text} | ${testsOf(id).map(link).join('<br>') || '–'} |`)
  return format(
    `# Conformance

The requirements of the protocol, and the tests that show them. \`F-…\`, \`NF-…\` and \`TC-…\` are the protocol's own ids,
\`K-…\` are this project's. Written by \`npm run conformance\` from the titles of the tests.

| id | requirement | tests |
|---|---|---|
%s

## Measured

Timings decide no test; [npm run bench](../bench/README.md) measures them.

| id | requirement |
|---|---|
%s

## Planned

| id | requirement | tests |
|---|---|---|
%s
`,
    rows(requirements.foundation).join('\n'),
    Object.entries(requirements.measured)
      .map(([id, text]) => `| ${id} | ${text} |`)
      .join('\n'),
    rows(requirements.planned).join('\n'),
  )
}

function link({ file, text }) {
  const title = text.replaceAll('|', '\\|').replaceAll(/[[\]<>]/g, '\\$&')
  return `[${title}](${relative('docs', file)})`
}

function untested() {
  return Object.entries(requirements.foundation)
    .filter(([id]) => testsOf(id).length === 0)
    .map(([id, text]) => `${id} has no test: ${text}`)
}

function unknownIds() {
  const known = new Set(Object.values(requirements).flatMap(Object.keys))
  return tests.flatMap(({ file, ids }) =>
    [...ids]
      .filter((id) => !known.has(id))
      .map((id) => `${file} names ${id}, which docs/conformance.json does not have`),
  )
}

function readOrNothing(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
