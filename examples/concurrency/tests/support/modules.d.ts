declare module 'express4' {
  import express from 'express'
  export default express
}
declare module 'multer-2.2' {
  import multer from 'multer'
  export default multer
}
