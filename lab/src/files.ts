import { fileURLToPath } from 'node:url'

// The same from `src` and from `dist`.
const LAB = new URL('../', import.meta.url)

/** Where everything is written, unless somebody says otherwise. */
export const OUT = fileURLToPath(new URL('out', LAB))

/** A program of the lab, built: `services/hop1`. */
export function programFile(name: string): string {
  return fileURLToPath(new URL(`dist/${name}.js`, LAB))
}

/** Configuration that compose mounts and the lab reads: `opa`, `spire/server.conf`. */
export function configurationFile(name: string): string {
  return fileURLToPath(new URL(`../docker/${name}`, LAB))
}
