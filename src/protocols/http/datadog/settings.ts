/** Settings of a connection to Datadog. */
import { z } from 'zod'
import { commonSettings } from '../settings.ts'
import type { HostKind } from './catalogue.ts'

const baseUrl = () =>
  z.url({ protocol: /^https?$/, error: 'write a base URL such as https://api.datadoghq.com' })

const hosts = z.strictObject({
  api: baseUrl().optional().describe('The API itself; default https://api.<site>'),
  logs: baseUrl().optional().describe('Logs intake; default https://http-intake.logs.<site>'),
  events: baseUrl().optional().describe('Events intake (v2); default https://event-management-intake.<site>'),
  ip_ranges: baseUrl().optional().describe('IP ranges; default https://ip-ranges.<site>'),
  app: baseUrl().optional().describe('The web application (OIDC discovery); default https://app.<site>'),
  oncall: baseUrl().optional().describe('On-Call paging; default https://navy.oncall.<site>'),
  browser_intake: baseUrl()
    .optional()
    .describe('Product analytics intake; default https://browser-intake-<site>, inner dots as hyphens'),
})

/** Schema of the connection's `settings`. */
export const datadogSettings = z
  .strictObject({
    ...commonSettings,
    site: z
      .string()
      .max(253)
      .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'write a site such as datadoghq.com or us5.datadoghq.com')
      .default('datadoghq.com')
      .describe(
        'The Datadog site: datadoghq.com, datadoghq.eu, us3.datadoghq.com, ddog-gov.com, or any other',
      ),
    url: baseUrl().optional().describe('One base URL in place of all hosts of the site, such as a proxy'),
    hosts: hosts.prefault({}).describe('Base URLs of single hosts; each wins over `url` and `site`'),
    plain_http: z
      .boolean()
      .default(false)
      .describe('Allow http to other machines than this one: the keys then cross the network in clear'),
    mask_secrets: z
      .boolean()
      .default(true)
      .describe(
        'Mask what operations that handle secrets return, with the profile `datadog-secrets`, whatever policy says',
      ),
  })
  .superRefine((settings, context) => {
    if (settings.plain_http) return
    const given = [
      [['url'], settings.url] as const,
      ...Object.entries(settings.hosts).map(([name, url]) => [['hosts', name], url] as const),
    ]
    for (const [path, url] of given) {
      if (url !== undefined && !mayCarryKeys(new URL(url)))
        context.addIssue({
          code: 'custom',
          path: [...path],
          message: 'http to another machine needs plain_http',
        })
    }
  })

export type DatadogSettings = z.output<typeof datadogSettings>

/** The base URL of each of Datadog's hosts. */
export function hostUrls({ site, url, hosts: own }: Pick<DatadogSettings, 'site' | 'url' | 'hosts'>) {
  const at = (given: string | undefined, name: string) => given ?? url ?? `https://${name}`
  return {
    api: at(own.api, `api.${site}`),
    'http-intake.logs': at(own.logs, `http-intake.logs.${site}`),
    'event-management-intake': at(own.events, `event-management-intake.${site}`),
    'ip-ranges': at(own.ip_ranges, `ip-ranges.${site}`),
    app: at(own.app, `app.${site}`),
    'navy.oncall': at(own.oncall, `navy.oncall.${site}`),
    'browser-intake': at(own.browser_intake, browserIntake(site)),
  } satisfies Record<HostKind, string>
}

/** `us3.datadoghq.com` has `browser-intake-us3-datadoghq.com`. */
function browserIntake(site: string): string {
  const dot = site.lastIndexOf('.')
  return `browser-intake-${site.slice(0, Math.max(0, dot)).replaceAll('.', '-')}${site.slice(dot)}`
}

function mayCarryKeys({ protocol, hostname }: URL): boolean {
  if (protocol === 'https:') return true
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
