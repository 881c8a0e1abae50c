/** At so many bytes Tempo cuts attributes off, unless it is told otherwise. */
const TEMPO_BYTES = 2_048

/** What is added to the finding that a text is none of ours, where it may have been cut off on its way: nobody else says it. */
export function cutOff(claim: unknown): string {
  if (typeof claim !== 'string' || Buffer.byteLength(claim) !== TEMPO_BYTES) return ''
  return `; it has ${TEMPO_BYTES} bytes, at which Tempo cuts attributes off (max_attribute_bytes)`
}
