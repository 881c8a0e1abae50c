// For a container's health check: exits with 0 if the service beside it is well.
const { PORT = '8000', MTLS } = process.env
const REQUEST_MS = 2_000
process.exit((await (MTLS === 'true' ? overTls() : plainly())) === 200 ? 0 : 1)

async function plainly(): Promise<number> {
  const { status } = await fetch(`http://127.0.0.1:${PORT}/health`, {
    signal: AbortSignal.timeout(REQUEST_MS),
  })
  return status
}

/** By the SVID of the service itself, which this process has as well: it is of the same user. */
async function overTls(): Promise<number> {
  const { createMtlsConnector, oneOf, SPIREProvider } = await import('@kest/spiffe')
  const { Agent, request } = await import('undici')
  const { source } = await SPIREProvider.connect()
  const connect = createMtlsConnector(source, { authorize: oneOf(source.current().id) })
  const { statusCode } = await request(`https://127.0.0.1:${PORT}/health`, {
    dispatcher: new Agent({ connect }),
    signal: AbortSignal.timeout(REQUEST_MS),
  })
  return statusCode
}
