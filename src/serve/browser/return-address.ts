const standard = '/console/'
/** Where a person lets a terminal in. */
export const devicePage = '/auth/device'
const mostLength = 2000

/**
 * Where a browser goes after a sign-in: a place in the console or the page for terminals, whatever the address says. Anything else (another host,
 * `//host`, `/\host`, a connection's page) is the console's first page.
 */
export function returnAddress(asked: string | null | undefined): string {
  if (asked == null || asked.length > mostLength || /[\p{Cc}\\]/u.test(asked)) return standard
  const url = URL.parse(asked, 'http://gateway.invalid')
  if (url === null || url.origin !== 'http://gateway.invalid' || !asked.startsWith('/')) return standard
  return url.pathname.startsWith(standard) || url.pathname === devicePage
    ? url.pathname + url.search + url.hash
    : standard
}
