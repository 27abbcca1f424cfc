import { useEffect, useState } from 'react'
import { Code, prettyJson } from '../../parts/code.tsx'
import { Loading } from '../../parts/states.tsx'
import { bytesText } from '../../parts/time.tsx'
import { textOf, unpack } from './frames.ts'

/** Text beyond it is cut on the page: the recording has it all. */
const mostShown = 400_000

interface BodyProps {
  readonly bytes: Uint8Array
  readonly encoding: string | undefined
  readonly label: string
}

/** A body for reading: unpacked, JSON indented; what is no text by its size and first bytes. */
export function Body({ bytes, encoding, label }: BodyProps) {
  const plain = useUnpacked(bytes, encoding)
  if (plain === undefined) return <Loading lines={3} />
  const text = textOf(plain)
  if (text === undefined) return <Binary bytes={plain} label={label} />
  const json = prettyJson(text)
  const shown = json ?? text
  return (
    <>
      <Code text={shown.slice(0, mostShown)} json={json !== undefined} label={label} />
      {shown.length > mostShown && (
        <p className="faint">
          The first {bytesText(mostShown)} of {bytesText(shown.length)}. The recording has all of it.
        </p>
      )}
    </>
  )
}

function useUnpacked(bytes: Uint8Array, encoding: string | undefined): Uint8Array | undefined {
  const isPacked = encoding !== undefined && encoding !== 'identity'
  const [unpacked, setUnpacked] = useState<Uint8Array>()
  useEffect(() => {
    if (!isPacked) return
    let isCurrent = true
    void unpack(bytes, encoding).then(found => {
      // What can't be unpacked is shown as it came.
      if (isCurrent) setUnpacked(found ?? bytes)
    })
    return () => {
      isCurrent = false
    }
  }, [bytes, encoding, isPacked])
  return isPacked ? unpacked : bytes
}

function Binary({ bytes, label }: { readonly bytes: Uint8Array; readonly label: string }) {
  const first = Array.from(bytes.subarray(0, 256), each => each.toString(16).padStart(2, '0'))
  const lines = Array.from({ length: Math.ceil(first.length / 16) }, (_, at) =>
    first.slice(at * 16, at * 16 + 16).join(' '),
  )
  return (
    <>
      <p className="faint">{bytesText(bytes.length)} that are no text; the first of them:</p>
      <Code text={lines.join('\n')} label={label} />
    </>
  )
}
