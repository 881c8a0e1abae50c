import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt } from 'jose'
import { type GrantContext, Provider } from 'oidc-provider'

/** Who tokens are for: of one kind JWTs, of the other texts that say nothing by themselves. */
export const AUDIENCE = 'urn:orders'
export const OPAQUE_AUDIENCE = 'urn:invoices'

const PASSWORD = 'password'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const REDIRECT = 'http://127.0.0.1/callback'

/** A client of the provider; the secret is a throw-away of the test. */
export const CLIENT = { client_id: 'web', client_secret: randomUUID() }
/** A service that acts for users: it exchanges their tokens. */
export const PLANNER = { client_id: 'planner', client_secret: randomUUID() }

/** An OpenID provider as it is deployed: discovery, JWKS, endpoints. Only its users are made up. */
export interface OpenIdProvider {
  readonly issuer: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Signs with a new key from now on, and publishes that one alone. */
  rotate(): void
  close(): Promise<void>
}

export async function startOpenIdProvider(): Promise<OpenIdProvider> {
  const asked: string[] = []
  let handle: RequestListener = () => {}
  const server = createServer((request, response) => {
    asked.push((request.url ?? '').split('?', 1)[0] as string)
    handle(request, response)
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let keys = 0
  const rotate = (): void => {
    handle = createHandler(issuer, `key-${++keys}`)
  }
  rotate()
  return {
    issuer,
    asked,
    rotate,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function createHandler(issuer: string, kid: string): RequestListener {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const provider = new Provider(issuer, {
    clients: [client(CLIENT), client(PLANNER)],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomUUID()] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_: unknown, indicator: string) => resource(indicator),
      },
    },
    findAccount: (_: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    // Delegation (RFC 8693 §4.1): who exchanges acts now, and who acted before is nested.
    extraTokenClaims: ({ oidc }: GrantContext) => {
      const { subject_token: subject, actor, tenant } = oidc.params
      if (subject !== undefined) {
        const { act } = decodeJwt(subject)
        return { act: { sub: oidc.client.clientId, ...(act !== undefined && { act }) } }
      }
      return {
        ...(actor !== undefined && { act: { sub: actor } }),
        ...(tenant !== undefined && { tid: tenant }),
      }
    },
    ttl: {
      AccessToken: 600,
      ClientCredentials: 600,
      Grant: 600,
      Interaction: 600,
      Session: 600,
      AuthorizationCode: 600,
    },
  })
  const grant = (name: string, userOf: (params: Params) => string, parameters: readonly string[]): void =>
    provider.registerGrantType(
      name,
      async (context) => {
        const { client, params } = context.oidc
        const token = new provider.AccessToken({
          accountId: userOf(params),
          client,
          grantId: randomUUID(),
          gty: name,
          scope: 'orders:read',
        })
        token.resourceServer = new provider.ResourceServer(AUDIENCE, resource(AUDIENCE))
        context.body = { access_token: await token.save(), token_type: 'Bearer' }
      },
      parameters,
    )
  grant(PASSWORD, ({ username }) => username as string, ['username', 'actor', 'tenant'])
  grant(EXCHANGE, (params) => decodeJwt(params['subject_token'] as string).sub as string, ['subject_token'])
  const usual = provider.callback()
  return (request, response) => {
    if (request.url?.startsWith('/interaction/')) void logIn(provider, request, response)
    else usual(request, response)
  }
}

type Params = GrantContext['oidc']['params']

/** Whoever comes is Alice, and agrees. */
async function logIn(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const grant = new provider.Grant({ accountId: 'alice', clientId: CLIENT.client_id })
  grant.addResourceScope(AUDIENCE, 'orders:read orders:write')
  const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } }
  await provider.interactionFinished(request, response, result)
}

function client(credentials: typeof CLIENT): object {
  return {
    ...credentials,
    grant_types: ['client_credentials', 'authorization_code', PASSWORD, EXCHANGE],
    redirect_uris: [REDIRECT],
    response_types: ['code'],
    id_token_signed_response_alg: 'ES256',
  }
}

function resource(audience: string): object {
  const scope = 'orders:read orders:write'
  return audience === OPAQUE_AUDIENCE
    ? { scope, audience, accessTokenFormat: 'opaque' }
    : { scope, audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
}

/** The token that a grant gives. */
export async function tokenOf(
  issuer: string,
  parameters: Readonly<Record<string, string>>,
  { client = CLIENT, headers = {} }: { client?: typeof CLIENT; headers?: Record<string, string> } = {},
): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`,
      ...headers,
    },
    body: new URLSearchParams(parameters),
  })
  const answer = (await response.json()) as { access_token: string }
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(answer)}`)
  return answer.access_token
}

/** The token of a user who logs in by a browser: what the code gives that the provider redirects with. */
export async function tokenOfLogin(issuer: string, scope: string): Promise<string> {
  const verifier = randomUUID() + randomUUID()
  const begin = new URL(`${issuer}/auth`)
  begin.search = new URLSearchParams({
    client_id: CLIENT.client_id,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope,
    resource: AUDIENCE,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  const cookies = new Map<string, string>()
  let at = begin
  while (!at.href.startsWith(REDIRECT)) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } })
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${response.status} ${await response.text()}`)
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    await response.body?.cancel()
    at = new URL(location, at)
  }
  const code = at.searchParams.get('code')
  if (code === null) throw new Error(at.search)
  return tokenOf(issuer, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT,
    code_verifier: verifier,
    resource: AUDIENCE,
  })
}
