import type { ReactElement } from 'react'
import { Tooltip, TooltipTrigger } from 'react-aria-components'

/** Words that appear on hover and on focus of a button. */
export function Hint({ text, children }: { readonly text: string; readonly children: ReactElement }) {
  return (
    <TooltipTrigger delay={400} closeDelay={0}>
      {children}
      <Tooltip className="toast" offset={6}>
        {text}
      </Tooltip>
    </TooltipTrigger>
  )
}
