// Everything that must hold. Arguments go to vitest: `npm test -- packages/core -t F-AE`.
import './check.mjs'
import { runTool } from './workspace.mjs'

runTool('vitest/vitest.mjs', 'run', ...process.argv.slice(2))
