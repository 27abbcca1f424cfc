import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { maskingSection } from '../../config/masking.ts'
import { createMasking } from '../masking.ts'
import { detectorGroups, detectorKinds, detectorsFor } from './index.ts'

const masking = createMasking(maskingSection.parse({}))
const mask = (text: string, ...profiles: string[]): string => masking.masker(profiles).text(text)

const hex32 = '0123456789abcdef0123456789abcdef'
const hex40 = `${hex32}01234567`
const letters36 = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'
const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq1+/==\n-----END RSA PRIVATE KEY-----'

/** Text with the value between bars, and the kind it must be masked as. */
const found: readonly (readonly [string, string])[] = [
  [`key |ddapp_${letters36}| end`, 'datadog-app-key'],
  [`|ddpat_alias_${letters36}|`, 'datadog-token'],
  [`|ddsat_${letters36}|`, 'datadog-token'],
  [`clientToken |pub${hex32}|,`, 'datadog-client-token'],
  [`my Datadog API key is |${hex32}|.`, 'datadog-api-key'],
  [`DD_APP_KEY: |${hex40}|`, 'datadog-app-key'],
  [`dd-application-key=|${hex40}|`, 'datadog-app-key'],
  [`DD-API-KEY: |${hex32}|`, 'datadog-api-key'],
  ['id |AKIAIOSFODNN7EXAMPLE| and', 'aws-access-key-id'],
  ['(|ASIAIOSFODNN7EXAMPLE|)', 'aws-access-key-id'],
  ['aws: |wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY|', 'aws-secret-key'],
  ['AWS_SECRET_ACCESS_KEY=|wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY|', 'aws-secret-key'],
  ['|AIzaSyA1234567890abcdefghijklmnopqrstuv|', 'gcp-api-key'],
  ['|GOCSPX-abcdefghijklmnopqrstuvwxyz12|', 'gcp-client-secret'],
  ['DefaultEndpointsProtocol=https;AccountName=x;AccountKey=|abcd1234EFGH5678+/==|;', 'azure-storage-key'],
  ['s |abc8Q~abcdefghijklmnopqrstuvwxyz0123456|', 'azure-client-secret'],
  [`|ghp_${letters36}|`, 'github-token'],
  [`https://|ghs_${letters36}|@github.com`, 'github-token'],
  [`|github_pat_11ABCDEFG0_${letters36}${letters36}|`, 'github-token'],
  ['|glpat-abcdefghij_0123456-9|', 'gitlab-token'],
  ['|xoxb-123456789012-abcdefghijkl|', 'slack-token'],
  ['https://|hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX|', 'slack-webhook'],
  ['|sk_live_abcdefghijklmnop|', 'stripe-key'],
  ['|rk_test_abcdefghijklmnop|', 'stripe-key'],
  [`|npm_${letters36}|`, 'npm-token'],
  ['t |eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl| x', 'jwt'],
  [`before\n|${pem}|\nafter`, 'private-key'],
  [`"k": "|${pem.replaceAll('\n', '\\n')}|"`, 'private-key'],
  ['|-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r|', 'private-key'],
  ['postgres://app:|s3cr/t#?x|@db.internal:5432/x', 'url-password'],
  ['https://user:|pa55|@example.com/path', 'url-password'],
  ['redis://:|hunter2|@cache:6379', 'url-password'],
  ['Authorization: |Bearer abcdefgh1|', 'authorization'],
  ['sent "Bearer |abcdefghijk123456|" to', 'authorization'],
  [`curl -H 'Basic |${Buffer.from('ana:pw').toString('base64')}|'`, 'authorization'],
  ['password=|hunter2|', 'secret'],
  ['Password = |hunter2|;', 'secret'],
  ['{"db_password": "|two words|", "a": 1}', 'secret'],
  ["client_secret: '|abc def|'", 'secret'],
  ['{\\"password\\":\\"|hunter2|\\",\\"n\\":1}', 'secret'],
  ['<password>|hunter2|</password>', 'secret'],
  ['user[password]=|hunter2|&x=1', 'secret'],
  ['refresh_token=|abc|&page_token=next', 'secret'],
  ['write to |ana.b+c@example.co.uk|, please', 'email'],
  ['?to=|ana%40example.com|&x', 'email'],
  ['call |+1 (415) 555-2671| now', 'phone'],
  ['tel |415-555-2671|,', 'phone'],
  ['|+4930123456|', 'phone'],
  ['card |4111 1111 1111 1111|.', 'payment-card'],
  ['|378282246310005|', 'payment-card'],
  ['5 |5555-5555-5555-4444| x', 'payment-card'],
  ['iban |DE89370400440532013000|', 'iban'],
  ['iban |GB82 WEST 1234 5698 7654 32|.', 'iban'],
  ['ssn |078-05-1120|', 'us-ssn'],
  ['from |203.0.113.77|:443', 'ip-address'],
  ['at |2001:db8::ff00:42:8329|.', 'ip-address'],
  ['[|fe80::1|]:80', 'ip-address'],
]

const clean: readonly string[] = [
  '550e8400-e29b-41d4-a716-446655440000',
  '2026-11-21T07:00:00.123456Z',
  '2024-01-02 12:34:56 +0000',
  '1700000000000 1700000000000000 1700000000000000000',
  `commit ${hex40}`,
  `md5 ${hex32}`,
  `datadog-agent commit ${hex40}`,
  `image@sha256:${hex32}${hex32}`,
  'XAKIAIOSFODNN7EXAMPLEX AKIA AKIA123',
  'task_live_abcdefghijklmnop risk_test_abcdefghijklmnop',
  'ghp_short npm_config_registry glpat-x xoxb-1 sk_live_',
  'eyJhbGciOiJIUzI1NiJ9 and eyJ.a.b',
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
  'postgres://db.internal:5432/x https://example.com:8080/a@b',
  'Basic authentication and Bearer tokens are understood',
  'next_token=abc page_token: def is_secret=true secret_name=x tokenize=1 max_tokens: 5',
  'password: [masked:secret] token=${TOKEN} secret={{vault.path}} password=****',
  'foo@1.2.3 @example a@b logo@2x.png user@localhost',
  '4111 1111 1111 1112 and 0.4111111111111111 and a4111111111111111',
  '6543210987654321098',
  'DE89370400440532013001 XX89370400440532013000',
  '000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 1123-45-6789',
  '1.2.3 1.2.3.4.5 256.1.1.1 127.0.0.1 0.0.0.0',
  '12:34:56 aa:bb:cc:dd:ee:ff std::vector ::1 a::b',
  '+00:00 +1200 12-34-56 3.14159-2.71828',
  'avg(last_5m):sum:system.cpu.user{host:web-01} by {env} > 0.9',
]

describe('P8: what the detectors find', () => {
  for (const [text, kind] of found)
    test(`P8: ${kind} in ${text.replaceAll('\n', ' ').slice(0, 50)}`, () => {
      const [before, , after] = text.split('|')
      const profile = detectorGroups.secrets.includes(kind) ? 'secrets' : 'personal'
      assert.equal(mask(text.replaceAll('|', ''), profile), `${before}[masked:${kind}]${after}`)
    })
})

describe('what the detectors leave', () => {
  for (const text of clean)
    test(text.replaceAll('\n', ' ').slice(0, 60), () => {
      assert.equal(mask(text, 'secrets', 'personal'), text)
    })
})

describe('P12: hostile text takes linear time', () => {
  const seeds = [
    'a@',
    '@',
    'a.',
    'a@a.',
    '%40',
    '1',
    '1 ',
    '1-',
    '4111 ',
    '123-45-',
    '1.',
    ':',
    'a:',
    '1:',
    '::',
    '://',
    'mysql://',
    'a:b@',
    'eyJ',
    'eyJhbGciOiJI.',
    'eyJhbGciOiJI.eyJhbGciOiJI.',
    '-----BEGIN',
    '-----BEGIN PRIVATE KEY-----',
    '-----END ',
    'password=',
    'password="',
    "password='\\",
    'token: ',
    '=',
    '>',
    'Bearer ',
    'Basic ',
    'AKIA',
    'ghp_',
    'ghp_a',
    'glpat-',
    'xoxb-',
    'ddpat_',
    'pub0',
    'Q~',
    'aaa1Q~a',
    'GB82',
    'GB82 ',
    '+1',
    '+1 ',
    '(415) ',
    '415-555-',
    'a',
    'aA1/',
    '\\u0041',
    '\\',
    ' ',
  ]
  /** Milliseconds of this process alone: other work on the machine does not count. */
  const cost = (work: () => void): number => {
    const start = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  const detectors = detectorsFor(new Set(detectorKinds), 'US')
  for (const seed of seeds)
    test(`P12: ${JSON.stringify(seed)} repeated`, () => {
      const small = seed.repeat(Math.ceil(65_536 / seed.length))
      const large = small.repeat(4)
      for (const detector of detectors) {
        const run = (text: string) => () => detector.find(text, () => undefined, '')
        // Four times the text: 4 where linear, 16 where quadratic. Below some milliseconds it is all noise, and a
        // collection of garbage may fall into any one try; a quadratic scan fails every one.
        let tries = ''
        const linear = [1, 2, 3, 4, 5].some(() => {
          const first = Math.min(cost(run(small)), cost(run(small)))
          const second = Math.min(cost(run(large)), cost(run(large)))
          tries += ` ${first} then ${second};`
          return second < 12 || second < first * 9
        })
        assert.ok(linear, `${detector.kinds[0]}, ms:${tries}`)
      }
    })
})
