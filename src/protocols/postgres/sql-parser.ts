/** PostgreSQL's own parser, as a module that is loaded as `tiering.ts` says. */
import './tiering.ts'
export { loadModule, normalizeSync, parseSync } from 'libpg-query'
