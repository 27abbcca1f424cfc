import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components'
import { statusQuery } from '../api/queries.ts'
import { IconButton } from '../parts/button.tsx'
import { Ask } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { nameOf } from '../parts/subject.tsx'
import { useMe } from './me.ts'
import { type Place, placeGroups, places } from './places.ts'
import { signOut } from './sign-out.ts'
import { nextTheme, useTheme } from './theme.ts'

const themeIcons = { system: 'system', light: 'sun', dark: 'moon' } as const

function Pending() {
  const { data } = useQuery(statusQuery)
  const count = data?.approvals.pending ?? 0
  if (count === 0) return null
  return (
    <span className="nav-count" aria-label={`${count} waiting`}>
      {count}
    </span>
  )
}

function PlaceLink({ place, onPress }: { readonly place: Place; readonly onPress?: () => void }) {
  return (
    <Link
      to={place.to}
      className="nav-link"
      activeOptions={{ exact: place.to === '/', includeSearch: false }}
      {...(onPress === undefined ? {} : { onClick: onPress })}
    >
      <Icon name={place.icon} />
      {place.label}
      {place.to === '/approvals' && <Pending />}
    </Link>
  )
}

function Tools({ onHelp }: { readonly onHelp: () => void }) {
  const theme = useTheme()
  return (
    <div className="side-tools">
      <IconButton icon={themeIcons[theme]} label={`Theme: ${theme}. Change`} onPress={nextTheme} />
      <IconButton icon="keys" label="Keyboard shortcuts" onPress={onHelp} />
      <MenuTrigger>
        <IconButton icon="leave" label="Sign out" />
        <Popover className="popover">
          <Menu aria-label="Sign out" onAction={key => void signOut(key === 'everywhere')}>
            <MenuItem id="here" className="menu-item">
              Sign out of this browser
            </MenuItem>
            <MenuItem id="everywhere" className="menu-item">
              Sign out everywhere, terminals too
            </MenuItem>
          </Menu>
        </Popover>
      </MenuTrigger>
    </div>
  )
}

function Who() {
  const { subject, roles } = useMe()
  return (
    <div className="who">
      <strong>{nameOf(subject)}</strong>
      <span className="faint">{roles.filter(role => role !== 'user').join(', ') || 'no role'}</span>
    </div>
  )
}

/** The way about on a desktop: at the side, in groups. */
export function Side({ onHelp }: { readonly onHelp: () => void }) {
  const { is } = useMe()
  return (
    <header className="side">
      <Link to="/" className="brand">
        <img src={`${import.meta.env.BASE_URL}favicon.svg`} width="22" height="22" alt="" />
        Sallyport
      </Link>
      <nav aria-label="Pages">
        {placeGroups.map(({ title, places: of }) => {
          const seen = of.filter(place => is(place.role))
          if (seen.length === 0) return null
          return (
            <div key={title} className="nav-group">
              <h2>{title}</h2>
              {seen.map(place => (
                <PlaceLink key={place.to} place={place} />
              ))}
            </div>
          )
        })}
      </nav>
      <div className="side-foot">
        <Who />
        <Tools onHelp={onHelp} />
      </div>
    </header>
  )
}

const onPhone = ['/', '/live', '/approvals', '/search']

/** The way about on a phone: at the bottom, where the thumb is. */
export function PhoneTabs({ onHelp }: { readonly onHelp: () => void }) {
  const { is } = useMe()
  const [isOpen, setOpen] = useState(false)
  const seen = places.filter(place => is(place.role))
  const close = (): void => setOpen(false)
  return (
    <nav className="tabs-phone" aria-label="Pages">
      {seen
        .filter(place => onPhone.includes(place.to))
        .map(place => (
          <Link
            key={place.to}
            to={place.to}
            className="tab-phone"
            activeOptions={{ exact: place.to === '/', includeSearch: false }}
          >
            <Icon name={place.icon} />
            {place.label}
            {place.to === '/approvals' && <Pending />}
          </Link>
        ))}
      <button type="button" className="tab-phone" onClick={() => setOpen(true)}>
        <Icon name="more" />
        More
      </button>
      <Ask title="Sallyport" isOpen={isOpen} onClose={close}>
        <div className="sheet-links">
          {seen
            .filter(place => !onPhone.includes(place.to))
            .map(place => (
              <PlaceLink key={place.to} place={place} onPress={close} />
            ))}
        </div>
        <Who />
        <Tools
          onHelp={() => {
            close()
            onHelp()
          }}
        />
      </Ask>
    </nav>
  )
}
