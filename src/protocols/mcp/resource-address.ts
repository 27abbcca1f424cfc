/** Addresses of resources that policy and a server could take for two different resources. */
import { plainAddress } from '../../policy/address.ts'

/** `.` or `..` between separators, each also as its escape (RFC 3986, 5.2.4; URL Standard, "double-dot path segment"). */
const dotSegment = /(?:[/\\:]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?#]|%2f|%5c| *$)/i
/** The URL Standard takes tabs and line ends out before it reads on, and so `.\t.` is `..`. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f]/

/** An escape of a character that needs none (RFC 3986, 6.2.2.2): the same address in another spelling. */
const needlessEscape = /%(?:2[de]|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/i
/** A file system takes several separators for one. */
const emptyFileSegment = /^file:\/\/[^/]*(?:\/.*)?[/\\]{2}/

/** Schemes whose hosts are names of machines, which the URL Standard reads in more than one spelling. */
const special = /^(?:https?|wss?|ftp|file):/

const parts = /^([a-z][a-z0-9+.-]*:)\/\/([^/?#]*)/

/**
 * Rules compare addresses by their plain spelling. A server may resolve one first, so that `file:///srv/../etc/passwd`
 * would pass for one below `file:///srv/`, and `https://user@host:443/a` for none at `https://host/`.
 */
export function isAmbiguous(uri: string): boolean {
  const plain = plainAddress(uri)
  const dodges = [control, dotSegment, needlessEscape, emptyFileSegment].some(each => each.test(plain))
  return dodges || (special.test(plain) && !isPlainHost(plain))
}

/** Whether whoever reads it finds the host that is written there, and nothing else beside it. */
function isPlainHost(plain: string): boolean {
  const [, scheme, host = ''] = parts.exec(plain) ?? []
  const read = URL.canParse(plain) ? new URL(plain) : undefined
  return scheme !== undefined && !host.endsWith('.') && read?.protocol === scheme && read.host === host
}
