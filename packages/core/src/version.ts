/** The version of this package; entries carry it as `runtime.version` (F-AE-06). A test holds it to package.json. */
export const VERSION = '0.1.0'
