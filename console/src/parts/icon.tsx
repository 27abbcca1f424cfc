/** The icons, drawn on a 16 by 16 grid with lines of 1.5. */
const shapes = {
  overview: 'M2.5 13.5h11M4 11V7M8 11V3M12 11V5.5',
  live: 'M1.5 8h3l2-5 3 10 2-5h3',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14',
  sessions: 'M2.5 3.5h11v9h-11zM6.5 6v4l3.5-2z',
  approvals: 'M8 1.8 13.2 4v4c0 3-2.2 5.2-5.2 6.2C5 13.2 2.8 11 2.8 8V4zM5.6 8l1.7 1.7 3.2-3.4',
  connections:
    'M6 10 10 6M6.5 4.500l1.6-1.600a3.2 3.2 0 0 1 4.5 4.500L11 9M9.5 11.500l-1.6 1.600a3.2 3.2 0 0 1-4.5-4.500L5 7',
  identities: 'M8 8a2.8 2.8 0 1 0 0-5.600A2.8 2.8 0 0 0 8 8zM2.5 13.800a5.5 5.5 0 0 1 11 0',
  policy: 'M3 2.500h7l3 3v8H3zM5.5 6.500h3M5.5 9h5M5.5 11.500h5',
  evidence: 'M2.5 4 8 2l5.5 2v3M2.5 4v6.500L8 14M8 6.500V14M2.5 4 8 6.5 13.5 4M10 11.500l1.5 1.5 2.8-3',
  tools: 'M9.5 2.500a3.5 3.5 0 0 0 3.9 4.700L7.500 13a2 2 0 0 1-2.800-2.800l6-5.800',
  exception: 'M8 2v7M4.500 4.500a5 5 0 1 0 7 0',
  access: 'M10 6.500a3.500 3.500 0 1 0-3 3.500l1.500-.500.5 1.500h1.500v1.500H13v-2.500l-3-3z',
  sinks: 'M8 2v8M5 7l3 3 3-3M2.5 11v2.500h11V11',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.500A6 6 0 0 1 6.5 2.500a6 6 0 1 0 7 7z',
  system: 'M2 3h12v8H2zM6 14h4M8 11v3',
  keys: 'M2 4h12v8H2zM4.5 7h.01M7 7h.01M9.5 7h.01M12 7h.01M5 9.500h6',
  leave: 'M6 2.500H3v11h3M7 8h7M11 5l3 3-3 3',
  copy: 'M5.5 5.500h8v8h-8zM3.5 10.500h-1v-8h8v1',
  check: 'M3 8.5 6.5 12 13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  pause: 'M5.5 3v10M10.5 3v10',
  play: 'M4.5 2.8 13 8l-8.5 5.200z',
  next: 'M6 3l5 5-5 5',
  previous: 'M10 3 5 8l5 5',
  download: 'M8 2v8M5 7l3 3 3-3M3 13.500h10',
  star: 'M8 2l1.8 3.8 4.2.5-3.1 2.9.8 4.100L8 11.300l-3.7 2 .8-4.100L2 6.300l4.2-.5z',
  table: 'M2 3h12v10H2zM2 6.500h12M6.5 6.500V13',
  stop: 'M4 4h8v8H4z',
  warning: 'M8 2 14.5 13.500h-13zM8 6.500v3M8 11.500h.01',
} as const

export type IconName = keyof typeof shapes

/** Decoration: what it means is said in text beside it or in the label of its button. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[name]} />
    </svg>
  )
}
