/** Of every card of a picture. */
export const CARD_WIDTH = 232
export const CARD_HEIGHT = 84
export const MARGIN = 24
/** Between cards of a row, and between rows. */
export const NODE_GAP = 24
export const ROW_GAP = 48

export interface Point {
  readonly x: number
  readonly y: number
}

/** Where everything lies. The same graph has the same picture. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Of each card its upper left corner. */
  readonly nodes: readonly Point[]
  /** Of each edge its way, from the parent down to the child. */
  readonly edges: readonly (readonly Point[])[]
}
