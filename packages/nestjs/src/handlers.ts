/** Which of Nest's transports a method serves. */
export type HandlerKind = 'route' | 'resolver' | 'subscription' | 'message'

/** Where Nest's decorators say so. */
const PATH = 'path'
const RESOLVER_TYPE = 'graphql:resolver_type'
const RESOLVE_REFERENCE = 'graphql:resolve_reference'
const MESSAGES = ['microservices:pattern', 'websockets:message_mapping']

/**
 * What strangers reach this method by; `null` for a method that is no handler. Fields of GraphQL's types (`@ResolveField`) are
 * none: they are reached through a query. Those of `Query` itself are queries, and to Nest each method of a class that is a
 * resolver of it is one.
 *
 * @param owner the class whose instance has it
 */
export function kindOf(method: object, owner: object): HandlerKind | null {
  if (Reflect.hasMetadata(PATH, method)) return 'route'
  const type: unknown =
    Reflect.getMetadata(RESOLVER_TYPE, method) || Reflect.getMetadata(RESOLVER_TYPE, owner)
  if (type === 'Subscription') return 'subscription'
  if (type === 'Query' || type === 'Mutation' || Reflect.hasMetadata(RESOLVE_REFERENCE, method))
    return 'resolver'
  return MESSAGES.some((key) => Reflect.hasMetadata(key, method)) ? 'message' : null
}

/** Whether its operation can be begun: where a request of HTTP is there that was judged. */
export function isCovered(kind: HandlerKind): boolean {
  return kind === 'route' || kind === 'resolver'
}
