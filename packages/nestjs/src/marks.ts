import 'reflect-metadata'
import { KestConfigError } from '@kest/core'

/** What its author has said of a handler. */
export type Mark = 'protected' | 'open'

/** Kept as metadata: what wraps a handler, as Nest itself and decorators do, takes it along. */
const MARK = Symbol.for('kest.nestjs.mark')

export type Handler = (this: unknown, ...args: unknown[]) => unknown

/** `undefined`: nothing was said, and the handler is refused. */
export function markOf(handler: object): Mark | undefined {
  return Reflect.getMetadata(MARK, handler) as Mark | undefined
}

/** @throws {KestConfigError} when something was said of it already: which of both counts? */
export function mark(handler: object, as: Mark, where: string): void {
  const earlier = markOf(handler)
  if (earlier !== undefined)
    throw new KestConfigError(
      `${where}: it is ${earlier} already; a handler has one @Protect() or one @Open()`,
    )
  Reflect.defineMetadata(MARK, as, handler)
}

/** What a decorator was put on, if it is a method. */
export function methodOf(decorator: string, target: object, descriptor: unknown): Handler {
  const method = (descriptor as PropertyDescriptor | undefined)?.value
  if (typeof method === 'function' && typeof target === 'object') return method
  throw new KestConfigError(
    `${decorator}: it stands on a method of a class, compiled with experimentalDecorators as Nest's are`,
  )
}

/** `OrdersController.find` */
export function nameOf(target: object, key: string | symbol): string {
  return `${target.constructor.name}.${String(key)}`
}
