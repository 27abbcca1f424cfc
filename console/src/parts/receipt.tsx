import { useQuery } from '@tanstack/react-query'
import { receiptQuery } from '../api/queries.ts'
import { Badge } from './badge.tsx'
import { Button } from './button.tsx'
import { Code } from './code.tsx'
import { Facts, Panel } from './page.tsx'
import { Shown } from './states.tsx'
import { countText, Time } from './time.tsx'
import { copy } from './toast.tsx'

interface Signer {
  readonly name: string
  /** When a witness saw the checkpoint; the log itself says no time. */
  readonly at?: string
}

interface Read {
  readonly origin: string
  readonly size: number
  readonly signers: readonly Signer[]
}

/** A line of a signed note. A witness's (C2SP tlog-cosignature) is 4 bytes key id, 8 bytes seconds, 64 bytes Ed25519. */
function readSigner(line: string): Signer {
  const [, name = '', signature = ''] = line.split(' ')
  const bytes = Uint8Array.from(atob(signature), each => each.charCodeAt(0))
  if (bytes.length !== 76) return { name }
  const seconds = new DataView(bytes.buffer).getBigUint64(4)
  return { name, at: new Date(Number(seconds) * 1000).toISOString() }
}

/**
 * What a receipt says of itself (C2SP tlog-proof: the proof, an empty line, the checkpoint as a signed note). Nothing
 * is verified here: that is for a program that the gateway did not send.
 */
export function readReceipt(text: string): Read | undefined {
  const at = text.indexOf('\n\n')
  const [origin, size, , ...rest] = text.slice(at + 2).split('\n')
  if (at < 0 || origin === undefined || !/^\d+$/.test(size ?? '')) return undefined
  const signers = rest.filter(line => line.startsWith('— ')).map(readSigner)
  return { origin, size: Number(size), signers }
}

/** Where the proof of an entry stands: in the log, signed, and by whom else it was seen. */
export function Receipt({ index }: { readonly index: string }) {
  const receipt = useQuery({
    ...receiptQuery(index),
    refetchInterval: query => (query.state.error ? 2000 : false),
  })
  return (
    <Panel
      title="Receipt"
      tools={
        receipt.data !== undefined && (
          <Button tone="quiet" icon="copy" onPress={() => void copy(receipt.data, 'Receipt')}>
            Copy
          </Button>
        )
      }
    >
      <Shown of={receipt} lines={3}>
        {text => {
          const read = readReceipt(text)
          const witnesses = read?.signers.filter(each => each.at !== undefined) ?? []
          return (
            <div className="stack">
              <div className="line">
                <Badge tone="good">in the log</Badge>
                {witnesses.length > 0 ? (
                  <Badge tone="good">witnessed by {witnesses.length}</Badge>
                ) : (
                  <Badge>not witnessed</Badge>
                )}
              </div>
              <Facts
                of={[
                  ['Entry', index],
                  ['Log', read?.origin],
                  ['Checkpoint', read && `of ${countText(read.size)} entries`],
                  ...witnesses.map(({ name, at }) => [name, at && <Time key={name} at={at} />] as const),
                ]}
              />
              <p className="soft">
                Check it on a machine of your own, without the gateway: <code>sallyport verify</code> or any
                tool that reads C2SP proofs.
              </p>
              <details>
                <summary>The proof</summary>
                <Code text={text} label="The receipt" />
              </details>
            </div>
          )
        }}
      </Shown>
    </Panel>
  )
}
