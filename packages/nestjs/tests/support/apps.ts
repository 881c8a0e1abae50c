import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { type DynamicModule, type INestApplication, Module, type ModuleMetadata } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { onTestFinished } from 'vitest'
import { KestModule, type KestModuleOptions } from '../../src/index.js'

/** Set by the project: these tests run once with each major version. */
export const NEST = process.env['KEST_NEST'] ?? '12'

/** The versions under test, as their packages say. */
export function nestVersion(): string {
  const from = createRequire(
    new URL(NEST === '12' ? '../../package.json' : '../nest-11/package.json', import.meta.url),
  )
  return JSON.parse(readFileSync(from.resolve('@nestjs/core/package.json'), 'utf8')).version
}

export const PLATFORMS = [
  { platform: 'express', adapterOf: () => new ExpressAdapter() },
  { platform: 'fastify', adapterOf: () => new FastifyAdapter() },
] as const satisfies readonly Platform[]

export interface Platform {
  readonly platform: 'express' | 'fastify'
  adapterOf(): ExpressAdapter | FastifyAdapter
}

/** What an application is made of, as its `@Module()` says. */
export function appModule(metadata: ModuleMetadata, options: KestModuleOptions): new () => object {
  class AppModule {}
  const kest: DynamicModule = KestModule.forRoot(options)
  Module({ ...metadata, imports: [kest, ...(metadata.imports ?? [])] })(AppModule)
  return AppModule
}

/** An application as `main.ts` makes it; errors are thrown, not the process's end. */
export function createApp(
  { adapterOf }: Pick<Platform, 'adapterOf'>,
  module: unknown,
): Promise<INestApplication> {
  return NestFactory.create(module as never, adapterOf() as never, { logger: false, abortOnError: false })
}

/** Makes it listen until the test is over; answers with where. */
export async function listen(app: INestApplication): Promise<string> {
  onTestFinished(async () => {
    app.getHttpServer().closeAllConnections()
    await app.close()
  })
  await app.listen(0, '127.0.0.1')
  return `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`
}

/** Both in one. */
export async function serve(
  platform: Pick<Platform, 'adapterOf'>,
  metadata: ModuleMetadata,
  options: KestModuleOptions,
  before: (app: INestApplication) => unknown = () => undefined,
): Promise<string> {
  const app = await createApp(platform, appModule(metadata, options))
  await before(app)
  return listen(app)
}
