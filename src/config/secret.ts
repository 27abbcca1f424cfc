import { z } from 'zod'

/** `${env:NAME}`; the text around it is kept. */
export const environmentVariable = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g

export function isReference(text: string): boolean {
  return text.startsWith('file:') || text.startsWith('command:') || text.search(environmentVariable) >= 0
}

/**
 * Where a secret is, never the secret: `${env:NAME}` for a variable of the process, `file:/path` for a file's content
 * without its trailing newline, `command:["program","arg"]` for what a program prints.
 */
export function secretReference() {
  return z.string().refine(isReference, {
    error: 'secrets are never written here: use ${env:NAME}, file:/path or command:["program","arg"]',
  })
}
