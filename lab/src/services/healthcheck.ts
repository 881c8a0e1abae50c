// For a container's health check: exits with 0 if the service beside it is well.
const { PORT = '8000' } = process.env
const response = await fetch(`http://127.0.0.1:${PORT}/health`, { signal: AbortSignal.timeout(2_000) })
process.exit(response.ok ? 0 : 1)
