import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import * as kest from '../index.js'

/** What the compiler makes of it, run. */
function define(source: string, options: ts.CompilerOptions): Record<string, unknown> {
  const { outputText } = ts.transpileModule(`import { verified } from '@kest/core'\n${source}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, ...options },
  })
  const exported = {}
  new Function('exports', 'require', outputText)(exported, () => kest)
  return exported
}

const decorated = (member: string): string => `export class Payments {
  @verified({ operation: 'payments.refund', policy: 'payments/refund' }) ${member}
}`

describe('verified as a decorator, compiled by TypeScript', () => {
  it.each([
    ['a method', 'async refund() {}', 'refund'],
    ['a static method', 'static async refund() {}', 'refund'],
    ['a method that a symbol names', 'async [Symbol.iterator]() {}', 'Symbol(Symbol.iterator)'],
    ['a getter', 'get refund() { return 1 }', 'refund'],
    ['a property', 'refund = async () => {}', 'refund'],
  ])('refuses legacy decorators at %s, and says what to set', (_, member, name) => {
    const legacy = { experimentalDecorators: true }
    const refusal = expect.objectContaining({
      code: 'ERR_KEST_CONFIG',
      message: `verified("payments.refund"): ${name} is decorated in the legacy way, and would not be protected: take experimentalDecorators out of tsconfig.json (of swc, set decoratorVersion to "2022-03"), or wrap the function: verified(options, fn)`,
    })
    expect(() => define(decorated(member), legacy)).toThrow(refusal)
  })

  it('refuses a class, by legacy decorators and by standard ones', () => {
    const source = `@verified({ operation: 'payments', policy: 'payments' }) export class Payments {}`
    for (const experimentalDecorators of [true, false])
      expect(() => define(source, { experimentalDecorators })).toThrow(/cannot protect a class/)
  })

  it('takes standard decorators, lowered', () => {
    const { Payments } = define(decorated('async refund() {}'), {}) as {
      Payments: new () => { refund: kest.VerifiedFunction<unknown, [], void> }
    }
    expect(new Payments().refund.with).toBeTypeOf('function')
  })
})
