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
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>
}
