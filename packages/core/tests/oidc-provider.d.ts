/** The part of oidc-provider that a test uses; the package has no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

  /** What the provider adds to a Koa context. */
  export interface GrantContext {
    body: unknown
    readonly oidc: {
      readonly client: { readonly clientId: string }
      readonly params: Readonly<Record<string, string | undefined>>
    }
  }

  export interface AccessToken {
    resourceServer: object
    save(): Promise<string>
  }

  export interface Grant {
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }

  export class Provider {
    constructor(issuer: string, configuration: object)
    readonly AccessToken: new (values: {
      readonly accountId: string
      readonly client: object
      readonly grantId: string
      readonly gty: string
      readonly scope: string
    }) => AccessToken
    readonly Grant: new (values: {
      readonly accountId: string
      readonly clientId: string
    }) => Grant
    readonly ResourceServer: new (
      identifier: string,
      data: object,
    ) => object
    interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>
    registerGrantType(
      name: string,
      handler: (context: GrantContext) => Promise<void>,
      parameters: readonly string[],
    ): void
    callback(): RequestListener
  }
}
