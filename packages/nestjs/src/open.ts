import { mark, methodOf, nameOf } from './marks.js'

/**
 * Says of a handler that Kest leaves it alone: nothing is judged, decided or signed, and whoever can reach the server reaches
 * it. Its requests are those for which the platform's router finds this route first; lineage that they bring is taken out of
 * their headers, unread. Of a resolver, a message handler or a subscription it says that it has no operation; the request that
 * brings it, if there is one, is judged all the same.
 *
 * @throws {KestConfigError} on what is no method, and beside a `@Protect()`
 *
 * @example
 * ```ts
 * @Get('health')
 * @Open()
 * health(): string {
 *   return 'ok'
 * }
 * ```
 */
export function Open(): MethodDecorator {
  return function kestOpen(target, key, descriptor) {
    mark(methodOf('@Open()', target, descriptor), 'open', nameOf(target, key))
  }
}
