// Lint, format and types, those of the tests included; and whether each requirement has its test.
import { join } from 'node:path'
import { root, run, runTool } from './workspace.mjs'

runTool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings')
runTool('typescript/bin/tsc', '-b', 'tsconfig.test.json')
run(process.execPath, [join(root, 'scripts/conformance.mjs'), '--check'])
