import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { EntryView, ReplayedAction } from '../../api/views.ts'
import { Badge, EntryBadge, RiskBadge } from '../../parts/badge.tsx'
import { Button } from '../../parts/button.tsx'
import { masked } from '../../parts/code.tsx'
import { Facts, Panel } from '../../parts/page.tsx'
import { Empty } from '../../parts/states.tsx'
import { bytesText, durationText } from '../../parts/time.tsx'
import { copy } from '../../parts/toast.tsx'
import { visible } from '../../parts/visible.ts'
import { At } from './at.tsx'
import { Body } from './body.tsx'
import { CallPanel, messageOf } from './call.tsx'
import { curlOf, type Head, headerOf, headOf, pairsOf, type Piece, piecesOf } from './frames.ts'
import { isResult, ResultTable, resultOf } from './sql.tsx'

/** One action: what was asked, what was decided, and what passed, as the client saw it. */
export function Exchange({ action }: { readonly action: ReplayedAction }) {
  const { entry, frames, unavailable } = action
  const curl = useMemo(() => curlOf(action), [action])
  return (
    <div className="stack exchange">
      <Panel
        title={<span className="mono">{visible(entry.operation ?? entry.kind)}</span>}
        tools={
          <div className="line">
            {curl !== undefined && (
              <Button icon="copy" onPress={() => void copy(curl, 'curl command')}>
                Copy as curl
              </Button>
            )}
            <Link to="/entries/$index" params={{ index: entry.seq }} className="button" data-tone="quiet">
              Entry {entry.seq}
            </Link>
          </div>
        }
      >
        <ActionFacts entry={entry} />
      </Panel>
      {frames === undefined ? (
        <div className="panel">
          <Empty title="No exchange is shown">
            {unavailable ??
              (entry.outcome === 'denied'
                ? 'It was denied: nothing was forwarded, so there is no answer to show.'
                : 'Nothing was recorded of it.')}
          </Empty>
        </div>
      ) : (
        <Pieces pieces={piecesOf(frames)} entry={entry} />
      )}
    </div>
  )
}

function ActionFacts({ entry }: { readonly entry: EntryView }) {
  const { decision, approval, masked: hidden, error, duration, upstream_duration: upstream } = entry
  return (
    <Facts
      of={[
        [
          'Ended',
          <span key="ended" className="line">
            <EntryBadge entry={entry} />
            {entry.risk !== undefined && <RiskBadge risk={entry.risk} />}
            {hidden !== undefined && hidden.count > 0 && (
              <Badge tone="odd">
                {hidden.count} masked: {hidden.kinds.join(', ')}
              </Badge>
            )}
          </span>,
        ],
        ['Resource', entry.resource && <code>{visible(entry.resource)}</code>],
        ['Decision', decision && `${decision.effect} by ${decision.rule ?? decision.reason}`],
        [
          'Approval',
          approval?.id && (
            <Link to="/approvals/$id" params={{ id: approval.id }}>
              {approval.state ?? approval.id}
              {(approval.approvers?.length ?? 0) > 0 && ` by ${approval.approvers?.join(', ')}`}
            </Link>
          ),
        ],
        ['Error', error && `${error.code}${error.detail === undefined ? '' : `: ${visible(error.detail)}`}`],
        [
          'Took',
          duration !== undefined &&
            `${durationText(duration)}${upstream === undefined ? '' : `, of it upstream ${durationText(upstream)}`}`,
        ],
        [
          'Bytes',
          entry.bytes_out !== undefined &&
            `${bytesText(entry.bytes_in ?? 0)} asked, ${bytesText(entry.bytes_out)} answered`,
        ],
      ]}
    />
  )
}

/** Heads with the bodies that follow them, side by side in the order they passed. */
function Pieces({ pieces, entry }: { readonly pieces: readonly Piece[]; readonly entry: EntryView }) {
  const heads: { client?: Head; upstream?: Head } = {}
  const messages = pieces.map(messageOf)
  return pieces.map((piece, index) => {
    if (piece.part === 'head') heads[piece.from] = headOf(piece)
    const head = heads[piece.from]
    const key = `${index} ${piece.at}`
    const message = messages[index]
    if (message !== undefined) return <CallPanel key={key} message={message} piece={piece} entry={entry} />
    // What a call's head says the call itself says better.
    if (piece.part === 'head' && messages[index + 1] !== undefined) return null
    if (piece.part === 'head') {
      const result = isResult(head) ? resultOf(pieces, index) : undefined
      if (result !== undefined) return <ResultTable key={key} result={result} at={piece.at} />
      return <HeadPanel key={key} piece={piece} head={head ?? {}} />
    }
    if (piece.part === 'body' && piece.from === 'upstream' && isResult(head)) return null
    return (
      <Panel key={key} title={titleOf(piece)} tools={<At at={piece.at} />}>
        <Body bytes={piece.bytes} encoding={headerOf(head, 'content-encoding')} label={titleOf(piece)} />
      </Panel>
    )
  })
}

function titleOf({ from, part }: Piece): string {
  const side = from === 'client' ? 'asked' : 'answered'
  return part === 'message' ? `Message, ${side}` : `Body, ${side}`
}

function HeadPanel({ piece, head }: { readonly piece: Piece; readonly head: Head }) {
  const pairs = pairsOf(head.headers)
  const target = head.target ?? head.path ?? ''
  const isStatement = head.method !== undefined && !target.startsWith('/')
  return (
    <Panel title={piece.from === 'client' ? 'Asked' : 'Answered'} tools={<At at={piece.at} />}>
      <div className="stack">
        {isStatement ? (
          <pre className="code statement">{masked(target)}</pre>
        ) : (
          <code className="request-line">
            {head.method === undefined
              ? masked(visible(`${head.status ?? ''} ${head.reason ?? ''}`))
              : masked(visible(`${head.method} ${target}`))}
          </code>
        )}
        {pairs.length > 0 && (
          <details open={isStatement}>
            <summary>
              {isStatement ? 'Values' : 'Headers'} ({pairs.length})
            </summary>
            <dl className="headers">
              {pairs.map(([name, value], index) => (
                <div key={index}>
                  <dt>{visible(name)}</dt>
                  <dd>{masked(visible(value))}</dd>
                </div>
              ))}
            </dl>
          </details>
        )}
      </div>
    </Panel>
  )
}
