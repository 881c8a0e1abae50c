export const NODE_WIDTH = 280
export const LINE_HEIGHT = 18
export const PADDING = 12
export const MARGIN = 24
/** Between nodes of a row, and between rows. */
export const NODE_GAP = 32
export const ROW_GAP = 44

export interface Point {
  readonly x: number
  readonly y: number
}

/** Where everything lies. The same graph has the same picture. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Of each node its upper left corner, and its height. */
  readonly nodes: readonly (Point & { readonly height: number })[]
  /** Of each edge its way, from the parent down to the child. */
  readonly edges: readonly (readonly Point[])[]
}
