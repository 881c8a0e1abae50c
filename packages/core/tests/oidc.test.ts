import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type GrantContext, Provider } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTokenVerifier, type TokenVerifier } from '../src/tokens/token.js'

const AUDIENCE = 'urn:orders'
const PASSWORD_GRANT = 'password'

/** A client of the OIDC server; the secret is a throw-away of this test. */
const CLIENT = { client_id: 'web', client_secret: randomUUID() }

let server: Server
let issuer: string
let verify: TokenVerifier

/** An OpenID provider as it is deployed: discovery, JWKS, token endpoint. Only its users are made up. */
beforeAll(async () => {
  server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const resource = {
    scope: 'orders:read orders:write',
    audience: AUDIENCE,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  }
  const provider = new Provider(issuer, {
    clients: [
      {
        ...CLIENT,
        grant_types: ['client_credentials', PASSWORD_GRANT],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'first', alg: 'ES256', use: 'sig' }] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => resource,
      },
    },
    // Delegation (RFC 8693 §4.1): what a token exchange would add for the agent that exchanges.
    extraTokenClaims: (context: GrantContext) => {
      const { actor } = context.oidc.params
      return actor === undefined ? undefined : { act: { sub: actor, act: { sub: 'assistant' } } }
    },
    ttl: { AccessToken: 60, ClientCredentials: 60 },
  })
  provider.registerGrantType(
    PASSWORD_GRANT,
    async (context) => {
      const { client, params } = context.oidc
      const token = new provider.AccessToken({
        accountId: params['username'] as string,
        client,
        grantId: randomUUID(),
        gty: PASSWORD_GRANT,
        scope: 'orders:read',
      })
      token.resourceServer = new provider.ResourceServer(AUDIENCE, resource)
      context.body = { access_token: await token.save(), token_type: 'Bearer' }
    },
    ['username', 'actor'],
  )
  server.on('request', provider.callback())

  const discovery = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as {
    jwks_uri: string
  }
  verify = createTokenVerifier({ jwks: discovery.jwks_uri, issuer, audience: AUDIENCE, types: ['at+jwt'] })
})

afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

async function authorization(parameters: Record<string, string>): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${CLIENT.client_id}:${CLIENT.client_secret}`).toString('base64')}`,
    },
    body: new URLSearchParams(parameters),
  })
  const answer = (await response.json()) as { access_token: string }
  expect(response.status, JSON.stringify(answer)).toBe(200)
  return `Bearer ${answer.access_token}`
}

describe('tokens of a real OpenID provider', () => {
  it('F-IC-05 says who the user, the agent and the task are', async () => {
    const token = await verify(await authorization({ grant_type: PASSWORD_GRANT, username: 'alice' }))
    expect(token?.identity).toEqual({ user: 'alice', agent: 'web', task: 'orders:read' })
    expect(token?.claims).toMatchObject({ iss: issuer, aud: AUDIENCE })
  })

  it('F-IC-05 takes a client that acts for itself as user and agent', async () => {
    const token = await verify(
      await authorization({ grant_type: 'client_credentials', scope: 'orders:write' }),
    )
    expect(token?.identity).toEqual({ user: 'web', agent: 'web', task: 'orders:write' })
  })

  it('K-ACT reads who acts now out of a delegated token', async () => {
    const token = await verify(
      await authorization({ grant_type: PASSWORD_GRANT, username: 'alice', actor: 'planner' }),
    )
    expect(token?.identity).toEqual({ user: 'alice', agent: 'planner', task: 'orders:read' })
    expect(token?.priorActors).toEqual(['assistant'])
  })

  it('F-IC-05 refuses a token that is meant for another service', async () => {
    const elsewhere = createTokenVerifier({ jwks: `${issuer}/jwks`, issuer, audience: 'urn:payments' })
    const header = await authorization({ grant_type: PASSWORD_GRANT, username: 'alice' })
    await expect(elsewhere(header)).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN', statusCode: 401 })
  })
})
