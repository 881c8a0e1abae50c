import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const HERE = join(import.meta.dirname, '../..')
const MODULES = { '11': join(HERE, 'tests/nest-11/node_modules'), '12': join(HERE, 'node_modules') }

/** A folder with the package as it was built, beside one major version of Nest. */
function project(modules: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'kest-nestjs-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const place = join(folder, 'node_modules')
  mkdirSync(join(place, '@kest'), { recursive: true })
  cpSync(join(HERE, 'dist'), join(place, '@kest/nestjs/dist'), { recursive: true })
  cpSync(join(HERE, 'package.json'), join(place, '@kest/nestjs/package.json'))
  symlinkSync(join(HERE, 'node_modules/@kest/core'), join(place, '@kest/core'))
  symlinkSync(join(HERE, 'node_modules/@opentelemetry'), join(place, '@opentelemetry'))
  for (const name of ['@nestjs', 'rxjs', 'reflect-metadata'])
    symlinkSync(join(modules, name), join(place, name))
  return folder
}

const SCRIPT = `
  const { Controller, Get, Module, Param } = require('@nestjs/common')
  const { NestFactory } = require('@nestjs/core')
  const { KestModule, Open, Protect } = require('@kest/nestjs')
  const { configure, getCurrentUser } = require('@kest/core')
  const { MockIdentityProvider, MockPolicyEngine } = require('@kest/core/testing')
  configure({ identity: new MockIdentityProvider(), engine: new MockPolicyEngine() })

  // As the compiler writes decorators.
  function decorate(decorators, target, key) {
    let descriptor = Object.getOwnPropertyDescriptor(target, key)
    for (const decorator of decorators.toReversed()) descriptor = decorator(target, key, descriptor) || descriptor
    Object.defineProperty(target, key, descriptor)
  }
  class OrdersController {
    find(id) { return 'order ' + id }
    health() { return 'ok' }
  }
  const param = (target, key) => Param('id')(target, key, 0)
  decorate([Get('orders/:id'), Protect({ policy: 'p', user: 'alice' }), param], OrdersController.prototype, 'find')
  decorate([Get('health'), Open()], OrdersController.prototype, 'health')
  Controller()(OrdersController)
  class AppModule {}
  Module({ imports: [KestModule.forRoot({ origin: 'user_input' })], controllers: [OrdersController] })(AppModule)

  NestFactory.create(AppModule, { logger: false }).then(async (app) => {
    await app.listen(0, '127.0.0.1')
    const url = 'http://127.0.0.1:' + app.getHttpServer().address().port
    for (const path of ['/orders/7', '/health']) {
      const answer = await fetch(url + path)
      console.log(answer.status, await answer.text())
    }
    process.exit(0)
  })
`

it.each(Object.entries(MODULES))(
  'a CommonJS application of NestJS %s gets the package, as built, by require()',
  (_, modules) => {
    const args = ['--no-warnings', '--input-type=commonjs', '-e', SCRIPT]
    const output = execFileSync(process.execPath, args, { cwd: project(modules), encoding: 'utf8' })
    expect(output).toBe('200 order 7\n200 ok\n')
  },
)
