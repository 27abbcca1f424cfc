import { useEffect, useRef, useState } from 'react'

export type StreamState = 'connecting' | 'open' | 'lost'

/**
 * Follows server-sent events while mounted. The browser reconnects by itself and goes on after the last event that it
 * had; `lost` is while it tries. `address` undefined: not followed.
 */
export function useStream(
  address: string | undefined,
  handlers: Readonly<Record<string, (data: unknown) => void>>,
): StreamState {
  const [state, setState] = useState<StreamState>('connecting')
  const latest = useRef(handlers)
  useEffect(() => {
    latest.current = handlers
  })
  useEffect(() => {
    if (address === undefined) return
    const source = new EventSource(address)
    source.addEventListener('open', () => setState('open'))
    source.addEventListener('error', () => setState('lost'))
    for (const name of Object.keys(latest.current)) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        latest.current[name]?.(JSON.parse(event.data) as unknown)
      })
    }
    return () => source.close()
  }, [address])
  return state
}
