// Compiles policies: Rego to the WebAssembly that is committed beside it. Needs `opa` on PATH. With --check it writes
// nothing, runs the policies' own tests, and fails when what is committed is not what the source compiles to.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './workspace.mjs'

/** Files of WebAssembly, and the folders that each is compiled from. Entry points are what is annotated so. */
const COMPILED = {
  'packages/opa/policies/policy.wasm': ['packages/opa/policies'],
  'examples/three-hop/policies/policy.wasm': ['examples/three-hop/policies'],
  'tests/fixtures/readmes/policies/policy.wasm': ['tests/fixtures/readmes/policies'],
}

const check = process.argv.includes('--check')
const work = mkdtempSync(join(tmpdir(), 'kest-policies-'))
try {
  for (const [file, sources] of Object.entries(COMPILED)) {
    if (check) opa('test', ...sources)
    const wasm = compile(sources)
    if (!check) writeFileSync(join(root, file), wasm)
    else if (!wasm.equals(readFileSync(join(root, file)))) {
      console.error(`${file} is not what its source compiles to: npm run policies`)
      process.exitCode = 1
    }
  }
} finally {
  rmSync(work, { recursive: true })
}

/** The same bytes each time: nothing in it depends on when and where it was built, given the same OPA. */
function compile(sources) {
  const bundle = join(work, 'bundle.tar.gz')
  opa('build', '-t', 'wasm', '--ignore', '*_test.rego', '-o', bundle, ...sources)
  return execFileSync('tar', ['-xzOf', bundle, '/policy.wasm'], { maxBuffer: 1 << 28 })
}

/** In the root: messages of errors in what is compiled name files as they are seen from there. */
function opa(...args) {
  try {
    execFileSync('opa', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    console.error(`opa ${args.join(' ')}: ${error.message}`)
    process.exit(1)
  }
}
