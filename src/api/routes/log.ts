import { z } from 'zod'
import { route } from '../route.ts'

const witnessShape = z.object({
  name: z.string(),
  result: z.string().describe('How the last question went: `cosigned`, `unreachable`, `forked`, ...'),
  detail: z.string().optional(),
  size: z.number().describe('Entries of the largest head that it cosigned'),
  cosigned: z.string().optional(),
})

export const logRoutes = [
  route({
    method: 'GET',
    path: '/log',
    id: 'log.get',
    summary: 'The state of the log: size, newest checkpoint, keys, witnesses, and the room on its disk',
    permission: 'auditor',
    audit: { none: 'counts, hashes and public keys' },
    responses: {
      200: {
        description: 'The state',
        schema: z.object({
          origin: z.string(),
          healthy: z.boolean().describe('False: nothing can be written, so every action is refused'),
          size: z.number(),
          first: z.number().describe('Entries below it were removed when their time of retention had ended'),
          indexed: z.number(),
          checkpoint: z
            .object({
              size: z.number(),
              root: z.string(),
              note: z.string().describe('The signed note itself'),
            })
            .optional(),
          keys: z.array(z.looseObject({ vkey: z.string(), state: z.string() })),
          witnesses: z
            .object({
              mode: z.enum(['monitor', 'required']),
              quorum: z.number(),
              overdue: z.boolean().describe('Too few have cosigned for longer than `audit.patience`'),
              quorum_at: z.string().optional().describe('When a quorum last cosigned one head'),
              quorum_size: z
                .number()
                .optional()
                .describe('Size of that head: entries below it are witnessed'),
              witnesses: z.array(witnessShape),
            })
            .optional()
            .describe('Absent where none are configured'),
          disk: z.object({
            state: z.enum(['ok', 'warn', 'refuse-sessions', 'refuse']),
            free_percent: z.number(),
          }),
        }),
      },
    },
    handler({ services }) {
      const { audit, storage, disk, signingKeys } = services
      const head = services.checkpoint()
      const state = services.witnesses()
      return {
        origin: audit.origin,
        healthy: audit.healthy,
        size: storage.log.size,
        first: storage.log.first,
        indexed: storage.index.indexed,
        ...(head === undefined ? {} : { checkpoint: { size: head.size, root: head.root, note: head.note } }),
        keys: signingKeys.list(),
        ...(state === undefined
          ? {}
          : {
              witnesses: {
                mode: state.mode,
                quorum: state.quorum,
                overdue: state.overdue,
                quorum_at: instantOf(state.quorumAt),
                quorum_size: state.quorumSize,
                witnesses: state.witnesses.map(({ cosignedAt, ...rest }) => ({
                  ...rest,
                  cosigned: instantOf(cosignedAt),
                })),
              },
            }),
        disk: { state: disk.state, free_percent: Math.round(disk.freePercent * 10) / 10 },
      }
    },
  }),
]

function instantOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString()
}
