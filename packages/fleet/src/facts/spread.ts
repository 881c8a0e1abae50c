/** FNV-1a: which of so many partitions a key is for. The same in each release, as what was written before lies there. */
export function spread(key: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16_777_619)
  hash ^= hash >>> 15
  return (hash >>> 0) % partitions
}
