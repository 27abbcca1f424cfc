/** Addresses of resources that policy and the server could take for two different resources. */

/** `.` or `..` between separators, each also as its escape (RFC 3986, 5.2.4; URL Standard, "double-dot path segment"). */
const dotSegment = /(?:[/\\:]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?#]|%2f|%5c| *$)/i
/** The URL Standard takes tabs and line ends out before it reads on, and so `.\t.` is `..`. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f]/

/** An escape of a character that needs none (RFC 3986, 6.2.2.2): the same address in another spelling. */
const needlessEscape = /%(?:2[de]|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/i
/** Schemes are the same in either case (6.2.2.1). */
const capitalScheme = /^[a-z0-9+.-]*[A-Z][A-Za-z0-9+.-]*:/
/** A file system takes several separators for one. */
const emptyFileSegment = /^file:\/\/[^/]*(?:\/.*)?[/\\]{2}/

/**
 * Rules compare the address as it is written. A server may resolve it first, so that `file:///srv/../etc/passwd` would
 * pass for one below `file:///srv/`, and `file:///%65tc/passwd` for none below `file:///etc/`.
 */
export function isAmbiguous(uri: string): boolean {
  return [control, dotSegment, needlessEscape, capitalScheme, emptyFileSegment].some(each => each.test(uri))
}
