import { defineConfig } from 'vite'

/** Nothing is inlined and nothing evaluated: the page runs under `script-src 'self'; style-src 'self'`. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  logLevel: 'warn',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    reportCompressedSize: false,
    rolldownOptions: {
      // Marks for servers that render React, which this is none of.
      checks: { moduleLevelDirective: false },
    },
  },
})
