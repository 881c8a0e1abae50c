/** FNV-1a. Seeded, so that nobody can make all that is his fall together. */
export function spread(key: string, seed: number, parts: number): number {
  let hash = seed
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16_777_619)
  hash ^= hash >>> 15
  return (hash >>> 0) % parts
}
