/** Templates over the secrets of a lease: `Bearer ${api_token}`. */
import { GatewayError } from '../../errors.ts'

const placeholder = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** Throws `credential-unavailable` for a name that the lease does not have, or a value that no header may hold. */
export function fillTemplate(template: string, secrets: Readonly<Record<string, string>>): string {
  return template.replaceAll(placeholder, (_, name: string) => {
    const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined
    if (value === undefined) {
      throw new GatewayError('credential-unavailable', { internal: `the lease has no secret named ${name}` })
    }
    if (/[\0\r\n]/.test(value)) {
      throw new GatewayError('credential-unavailable', { internal: `the secret ${name} holds a line break` })
    }
    return value
  })
}
