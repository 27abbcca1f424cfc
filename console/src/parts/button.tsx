import type { ReactNode } from 'react'
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from 'react-aria-components'
import { Icon, type IconName } from './icon.tsx'
import { Hint } from './hint.tsx'

export type Tone = 'main' | 'bad' | 'quiet' | 'plain'

export interface ButtonProps extends Omit<AriaButtonProps, 'className' | 'style' | 'children'> {
  readonly tone?: Tone
  readonly icon?: IconName
  readonly children: ReactNode
}

export function Button({ tone = 'plain', icon, children, ...rest }: ButtonProps) {
  return (
    <AriaButton {...rest} className="button" data-tone={tone}>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </AriaButton>
  )
}

export interface IconButtonProps extends Omit<AriaButtonProps, 'className' | 'style' | 'children'> {
  readonly icon: IconName
  /** What it does; read out, and shown on hover and focus. */
  readonly label: string
}

export function IconButton({ icon, label, ...rest }: IconButtonProps) {
  return (
    <Hint text={label}>
      <AriaButton {...rest} aria-label={label} className="button" data-tone="quiet" data-icon>
        <Icon name={icon} />
      </AriaButton>
    </Hint>
  )
}
