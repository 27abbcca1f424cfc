import { useEffect, useRef } from 'react'
import type { PolicyProblem } from '../../api/views.ts'

interface EditorProps {
  readonly text: string
  readonly problems: readonly PolicyProblem[]
  readonly onChange: (text: string) => void
}

/** Puts the caret where a problem is; lines and columns count from 1. */
export function goToProblem({ line, column }: PolicyProblem): void {
  const field = document.querySelector<HTMLTextAreaElement>('#policy-text')
  if (field === null) return
  const lines = field.value.split('\n')
  const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1
  field.focus()
  field.setSelectionRange(at, at)
}

/** A text field with line numbers; lines with a problem are marked. Tab leaves it, as anywhere. */
export function Editor({ text, problems, onChange }: EditorProps) {
  const gutter = useRef<HTMLPreElement>(null)
  const field = useRef<HTMLTextAreaElement>(null)
  const wrong = new Set(problems.map(({ line }) => line))
  const count = text.split('\n').length
  useEffect(() => {
    const { current } = field
    if (current === null) return
    const follow = (): void => {
      if (gutter.current !== null) gutter.current.scrollTop = current.scrollTop
    }
    current.addEventListener('scroll', follow, { passive: true })
    return () => current.removeEventListener('scroll', follow)
  }, [])
  return (
    <div className="editor">
      <pre className="editor-gutter" aria-hidden="true" ref={gutter}>
        {Array.from({ length: count }, (_, index) => (
          <span key={index} data-wrong={wrong.has(index + 1)}>
            {index + 1}
          </span>
        ))}
      </pre>
      <textarea
        id="policy-text"
        ref={field}
        className="editor-text"
        aria-label="Policy, YAML"
        aria-invalid={problems.length > 0}
        aria-describedby="policy-problems"
        spellCheck={false}
        autoCapitalize="off"
        wrap="off"
        value={text}
        onChange={event => onChange(event.target.value)}
      />
    </div>
  )
}
