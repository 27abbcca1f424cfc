import { Page } from '../../parts/page.tsx'
import { People } from './people.tsx'
import { Tokens } from './tokens.tsx'

/** Who can sign in without an identity provider, and the machines that have a token of the gateway's own. */
export function Access() {
  return (
    <Page
      title="Access"
      about="Most people and agents come from your identity provider, and are managed there. These are the gateway's own: people with a password, and tokens for machines without a provider."
    >
      <People />
      <Tokens />
    </Page>
  )
}
