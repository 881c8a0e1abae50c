import { createIngress, type Ingress, KestConfigError } from '@kest/core'
import { ConfigurableModuleBuilder, Inject, Module, type NestModule, type OnModuleInit } from '@nestjs/common'
import { APP_FILTER, APP_GUARD, HttpAdapterHost, ModulesContainer } from '@nestjs/core'
import { assertDeclared, methodsOf } from './discovery.js'
import { DeclaredGuard, KestErrorFilter } from './enhancers.js'
import { kindOf } from './handlers.js'
import { markOf } from './marks.js'
import { type KestModuleOptions, type ResolvedOptions, resolveOptions } from './options.js'
import { type HttpAdapter, installOn, markOpenRoute, type Platform } from './platform.js'
import { createReceiver } from './receive.js'

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<KestModuleOptions>({
  moduleName: 'Kest',
})
  .setClassMethodName('forRoot')
  .build()

/** Adapters that a module receives the requests of. */
const installed = new WeakSet<HttpAdapter>()

/**
 * Kest for a NestJS application on Express or Fastify: lineage and token of every request are judged before anything that
 * the application registers, parsers included, and each handler runs only when its policies allow it and its entry is signed
 * ({@link Protect}), or is {@link Open}. Import it once, in the module that the application is made of.
 *
 * A handler about which neither was said is refused at start: `listen()` and `init()` reject. What is registered on the
 * platform by hand, past Nest, is judged and has no operation.
 *
 * Without `origin` the listener is internal: a request without lineage that verifies is refused (K-ROOT). With it, it is an
 * edge (K-EDGE).
 *
 * @throws {KestConfigError} when Nest makes it: for options that are unknown or wrong, and when Kest is not configured. By
 * rejecting `init()`: for handlers without `@Protect()` or `@Open()`, for a platform that is neither Express nor Fastify, and
 * when it is imported twice.
 *
 * @example
 * ```ts
 * @Module({ imports: [KestModule.forRoot({ origin: 'user_input' })], controllers: [OrdersController] })
 * class AppModule {}
 * ```
 */
export class KestModule extends ConfigurableModuleClass implements NestModule, OnModuleInit {
  readonly #modules: ModulesContainer
  readonly #options: ResolvedOptions
  readonly #ingress: Ingress
  #platform: Platform | undefined
  /** Told when it can be: what throws where an adapter is set ends the process. */
  #failure: unknown

  /** Made by Nest. */
  constructor(host: HttpAdapterHost, modules: ModulesContainer, options: KestModuleOptions) {
    super()
    this.#modules = modules
    this.#options = resolveOptions(options)
    this.#ingress = createIngress('KestModule', this.#options.adapter)
    // At once, or in tests when the application is made of its module. Where there is no server there is no adapter.
    host.init$.subscribe(() => {
      if (host.httpAdapter) this.#install(host.httpAdapter as unknown as HttpAdapter)
    })
  }

  /** Called by Nest when parsers have their place, and routes do not. */
  configure(): void {
    this.#platform?.behindParsers()
  }

  /** @throws {KestConfigError} as the class says */
  onModuleInit(): void {
    if (this.#failure !== undefined) throw this.#failure
    assertDeclared(this.#modules)
  }

  #install(adapter: HttpAdapter): void {
    try {
      if (installed.has(adapter))
        throw new KestConfigError('KestModule: it is imported twice; which options count?')
      installed.add(adapter)
      for (const { method, prototype } of methodsOf(this.#modules))
        if (kindOf(method, prototype.constructor) === 'route' && markOf(method) === 'open')
          markOpenRoute(method)
      const receive = createReceiver(this.#ingress, this.#options, () => this.#platform as Platform)
      this.#platform = installOn(adapter, receive, this.#ingress.listener.takesLineage)
    } catch (error) {
      this.#failure = error
    }
  }
}

Inject(HttpAdapterHost)(KestModule, undefined, 0)
Inject(ModulesContainer)(KestModule, undefined, 1)
Inject(MODULE_OPTIONS_TOKEN)(KestModule, undefined, 2)
Module({
  providers: [
    { provide: APP_FILTER, useClass: KestErrorFilter },
    { provide: APP_GUARD, useClass: DeclaredGuard },
  ],
})(KestModule)
