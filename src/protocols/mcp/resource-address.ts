/** Addresses of resources that policy and the server could take for two different resources. */

/** `.` or `..` between separators, each also as its escape (RFC 3986, 5.2.4; URL Standard, "double-dot path segment"). */
const dotSegment = /(?:[/\\:]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?#]|%2f|%5c| *$)/i
/** The URL Standard takes tabs and line ends out before it reads on, and so `.\t.` is `..`. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f]/

/**
 * Rules compare the address as it is written. A server may resolve it first, so that `file:///srv/../etc/passwd` would
 * pass for one below `file:///srv/`.
 */
export function isAmbiguous(uri: string): boolean {
  return control.test(uri) || dotSegment.test(uri)
}
