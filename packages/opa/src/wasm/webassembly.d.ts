/** What is used of the global that Node has, and that its types leave to the DOM's. */
declare namespace WebAssembly {
  class Module {
    private readonly brand: 'Module'
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>
  }
  interface Memory {
    readonly buffer: ArrayBuffer
    /** @throws {RangeError} beyond its maximum */
    grow(pages: number): number
  }
  /** What a module imports is not there, or does not fit. */
  class LinkError extends Error {}
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>
}
