import type { IconName } from '../parts/icon.tsx'

export type Role = 'user' | 'auditor' | 'approver' | 'admin'

export interface Place {
  readonly to: string
  readonly label: string
  readonly icon: IconName
  /** Pressed after `g`. */
  readonly key: string
  /** Without it the gateway would refuse all that the page shows. */
  readonly role: Role
}

export interface PlaceGroup {
  readonly title: string
  readonly places: readonly Place[]
}

export const placeGroups: readonly PlaceGroup[] = [
  {
    title: 'Watch',
    places: [
      { to: '/', label: 'Overview', icon: 'overview', key: 'o', role: 'auditor' },
      { to: '/live', label: 'Live', icon: 'live', key: 'l', role: 'auditor' },
      { to: '/search', label: 'Search', icon: 'search', key: 's', role: 'auditor' },
      { to: '/sessions', label: 'Sessions', icon: 'sessions', key: 'e', role: 'auditor' },
      { to: '/detections', label: 'Detections', icon: 'warning', key: 'd', role: 'auditor' },
    ],
  },
  {
    title: 'Decide',
    places: [
      { to: '/approvals', label: 'Approvals', icon: 'approvals', key: 'a', role: 'user' },
      { to: '/tools', label: 'Tools', icon: 'tools', key: 't', role: 'approver' },
      { to: '/exceptions', label: 'Exceptions', icon: 'exception', key: 'b', role: 'user' },
      { to: '/policy', label: 'Policy', icon: 'policy', key: 'p', role: 'auditor' },
    ],
  },
  {
    title: 'Configured',
    places: [
      { to: '/connections', label: 'Connections', icon: 'connections', key: 'c', role: 'user' },
      { to: '/identities', label: 'Identities', icon: 'identities', key: 'i', role: 'auditor' },
      { to: '/access', label: 'Access', icon: 'access', key: 'u', role: 'admin' },
    ],
  },
  {
    title: 'Evidence',
    places: [
      { to: '/log', label: 'Log and keys', icon: 'evidence', key: 'k', role: 'auditor' },
      { to: '/sinks', label: 'Sinks', icon: 'sinks', key: 'x', role: 'auditor' },
    ],
  },
]

export const places: readonly Place[] = placeGroups.flatMap(group => group.places)
