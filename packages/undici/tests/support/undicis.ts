import * as undici from 'undici'

/** The package undici in each major version that runs on this Node. */
export const undicis: readonly (readonly [name: string, undici: typeof undici])[] = [
  ['undici 7', undici],
  ...(await second()),
]

async function second(): Promise<(readonly [string, typeof undici])[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 22 || (major === 22 && minor < 19)) return []
  return [['undici 8', (await import('undici8')) as unknown as typeof undici]]
}
