import type { UseQueryResult } from '@tanstack/react-query'
import type { PolicyCheck } from '../../api/views.ts'
import { Badge } from '../../parts/badge.tsx'
import { Failed } from '../../parts/states.tsx'
import { goToProblem } from './editor.tsx'

/** What is wrong, each with its place, and how the policy's own test cases come out. */
export function Problems({ check }: { readonly check: UseQueryResult<PolicyCheck> }) {
  const { data, error } = check
  if (data === undefined) return error === null ? null : <Failed error={error} />
  const { problems, tests } = data
  const failed = tests.filter(each => !each.passed)
  return (
    <div id="policy-problems" className="stack" role="status">
      {problems.length === 0 && (
        <div className="line">
          <Badge tone="good">valid</Badge>
          {tests.length > 0 && (
            <Badge tone={failed.length === 0 ? 'good' : 'bad'}>
              {failed.length === 0
                ? `${tests.length} test cases pass`
                : `${failed.length} of ${tests.length} test cases fail`}
            </Badge>
          )}
        </div>
      )}
      {problems.length > 0 && (
        <ul className="problems" aria-label="Problems">
          {problems.map((problem, index) => (
            <li key={index}>
              <button type="button" className="problem" onClick={() => goToProblem(problem)}>
                <span className="number faint">
                  {problem.line}:{problem.column}
                </span>
                <span>
                  {problem.path !== '' && <code>{problem.path}</code>} {problem.message}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {failed.map(({ name, differences }) => (
        <div key={name} className="banner" data-tone="bad">
          <strong>{name}</strong>
          {differences.map(({ what, expected, got }) => (
            <span key={what}>
              {what}: expected {expected}, got {got}
            </span>
          ))}
        </div>
      ))}
    </div>
  )
}
