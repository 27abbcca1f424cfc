/** As much of a browser as a sign-in needs: cookies by host, redirects, and the headers that browsers send. */
export interface Page {
  readonly status: number
  readonly url: string
  readonly text: string
  readonly headers: Headers
}

export interface VisitOptions {
  readonly method?: string
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** What `Sec-Fetch-Site` says; default as when somebody types the address. */
  readonly site?: 'none' | 'same-origin' | 'same-site' | 'cross-site'
  /** Redirects to follow; default 10. */
  readonly redirects?: number
}

interface Cookie {
  readonly value: string
  readonly attributes: string
}

export class Browser {
  /** By host and name. */
  readonly cookies = new Map<string, Cookie>()

  async visit(address: string, options: VisitOptions = {}): Promise<Page> {
    const { form, site = 'none', headers = {}, redirects = 10 } = options
    const url = new URL(address)
    const method = options.method ?? (form === undefined ? 'GET' : 'POST')
    const answer = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        'sec-fetch-site': site,
        ...(method === 'GET'
          ? {}
          : { origin: site === 'same-origin' ? url.origin : 'https://elsewhere.example' }),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        cookie: this.#cookiesFor(url, method, site),
        ...headers,
      },
      ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
    })
    for (const line of answer.headers.getSetCookie()) this.#keep(url, line)
    const text = await answer.text()
    const location = answer.headers.get('location')
    if (location === null || answer.status < 300 || answer.status > 399 || redirects === 0)
      return { status: answer.status, url: url.href, text, headers: answer.headers }
    return await this.visit(new URL(location, url).href, { site, redirects: redirects - 1 })
  }

  cookie(host: string, name: string): Cookie | undefined {
    return this.cookies.get(`${host} ${name}`)
  }

  #keep(url: URL, line: string): void {
    const [pair = '', ...attributes] = line.split(';')
    const at = pair.indexOf('=')
    const key = `${url.host} ${pair.slice(0, at)}`
    if (attributes.some(each => each.trim() === 'Max-Age=0')) this.cookies.delete(key)
    else this.cookies.set(key, { value: pair.slice(at + 1), attributes: attributes.join(';') })
  }

  #cookiesFor(url: URL, method: string, site: string): string {
    return [...this.cookies]
      .filter(([key, { attributes }]) => {
        if (!key.startsWith(`${url.host} `)) return false
        return site !== 'cross-site' || method === 'GET' || attributes.includes('SameSite=None')
      })
      .map(([key, { value }]) => `${key.split(' ')[1]}=${value}`)
      .join('; ')
  }
}
