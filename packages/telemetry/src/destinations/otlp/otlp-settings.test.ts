import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { RecordingLogger } from '@kest/core/testing'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { temporaryFolder } from '../../../tests/support/folder.js'
import { kestWith, root } from '../../../tests/support/kest.js'
import { setupTelemetry } from '../../setup/setup-telemetry.js'
import { otlpSettings } from './otlp-settings.js'

afterEach(() => vi.unstubAllEnvs())

const nothing = { endpoint: undefined, headers: undefined, timeoutMs: undefined, protocol: undefined }

describe('what the environment says of OTLP', () => {
  it('is read, that of traces first, and what is stated goes before it', () => {
    const env = {
      OTEL_EXPORTER_OTLP_HEADERS: 'X-A=1,x-b=%20two',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-A="3"',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_TIMEOUT: '7',
    }
    expect(otlpSettings({ ...nothing, headers: { 'X-B': 'stated' } }, env)).toEqual({
      url: 'http://localhost:4318/v1/traces',
      headers: { 'x-a': '3', 'x-b': 'stated' },
      timeoutMs: 7,
      protocol: 'http/json',
      compressed: false,
      tls: {},
    })
  })

  it.each([
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'no equals sign'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a b=1'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%0a'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=%zz'],
    ['OTEL_EXPORTER_OTLP_CERTIFICATE', '/no/such/file.pem'],
    ['OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY', '/no/such/file.pem'],
  ])('leads to no default where it cannot be read: %s=%s', (name, value) => {
    expect(() => otlpSettings(nothing, { [name]: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_KEST_CONFIG',
        message: expect.stringMatching(new RegExp(`^${name}: `)),
      }),
    )
  })

  it('shows no value of a header, which may be a secret', () => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret%0a' }
    expect(() => otlpSettings(nothing, env)).toThrow(expect.not.stringContaining('secret'))
  })
})

describe('OTLP over TLS', () => {
  it('trusts the authority that it is given, shows its certificate, and nobody else', async () => {
    const [server, client] = [await certified(), await certified()]
    const folder = temporaryFolder()
    const files = { CERTIFICATE: server.cert, CLIENT_CERTIFICATE: client.cert, CLIENT_KEY: client.private }
    const https = createServer(
      { key: server.private, cert: server.cert, ca: client.cert, requestCert: true },
      (request, response) => {
        request.resume()
        const shown = (request.socket as TLSSocket).authorized
        response.writeHead(shown ? 200 : 401, { 'content-type': 'application/json' }).end('{}')
      },
    )
    https.listen(0, '127.0.0.1')
    await once(https, 'listening')
    onTestFinished(() => {
      https.close()
      https.closeAllConnections()
    })
    const endpoint = `https://127.0.0.1:${(https.address() as AddressInfo).port}`

    const logger = new RecordingLogger()
    const strange = setupTelemetry({ serviceName: 'x', endpoint, logger, flushTimeoutMs: 100 })
    await kestWith(strange).begin(root)
    await expect.poll(() => logger.records[0]?.details['err']).toMatch(/self-signed certificate/)
    await strange.shutdown().catch(() => {})

    for (const [name, pem] of Object.entries(files)) {
      const file = join(folder, name)
      writeFileSync(file, pem)
      vi.stubEnv(`OTEL_EXPORTER_OTLP_${name}`, file)
    }
    const trusting = setupTelemetry({ serviceName: 'x', endpoint, logger })
    await kestWith(trusting).begin(root)
    await trusting.shutdown()
    expect(trusting.counts.exported).toBe(1)
  })
})

/** Throw-away, signed by itself. */
function certified() {
  return generate([{ name: 'commonName', value: 'receiver' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  })
}
