/** Where clients learn whose tokens something takes (RFC 9728). */

const wellKnown = '/.well-known/oauth-protected-resource'

/** Address of the metadata of the resource at this path of the gateway (section 3.1): the path comes after. */
export function metadataAddress(publicUrl: string, path: string): string {
  return `${publicUrl}${wellKnown}${path}`
}
