import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import { subjectFacts } from '../../model/subject.ts'
import { type Caller, route } from '../route.ts'

const userShape = z.looseObject({
  id: z.string(),
  email: z.string(),
  roles: z.array(z.string()),
  groups: z.array(z.string()),
})

/**
 * People invite people. The socket of this machine does not: what shares its user's files may be the agent that asks,
 * and with an invitation it could approve in somebody's name.
 */
function checkPerson({ subject }: Caller): void {
  if (subject.kind !== 'user')
    throw new GatewayError('denied', {
      detail: 'a person who signed in invites people: run `sallyport login`, or use the console',
    })
}

export const userRoutes = [
  route({
    method: 'GET',
    path: '/users',
    id: 'users.list',
    summary: 'People with a password of the gateway’s own',
    permission: 'admin',
    audit: { none: 'shows names and roles' },
    responses: { 200: { description: 'Users', schema: z.object({ users: z.array(userShape) }) } },
    async handler({ services }) {
      const users = await services.signIn.users.list()
      return {
        users: users.map(({ created, ...rest }) => ({ ...rest, created: new Date(created).toISOString() })),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/users',
    id: 'users.invite',
    summary:
      'Invite a person, or give one another password: a link that works once. The answer is the only time it is seen',
    permission: 'admin',
    audit: 'identity.invited',
    body: z.strictObject({
      email: z.string().min(3).max(320),
      name: z.string().min(1).max(200).optional(),
      groups: z.array(z.string().min(1).max(200)).max(100).default([]),
      roles: z.array(z.enum(['admin', 'approver', 'auditor', 'user'])).default(['user']),
    }),
    responses: {
      201: {
        description: 'The user and the link',
        schema: userShape.extend({ link: z.string(), expires: z.string() }),
      },
    },
    async handler({ services, caller, body }) {
      checkPerson(caller)
      const { signIn, audit } = services
      const { name, ...rest } = body
      const user = { ...rest, ...(name === undefined ? {} : { name }) }
      // Before the link exists: an invitation that nobody noted must not be usable (P10).
      await audit.note('identity.invited', { subject: subjectFacts(caller.subject), user })
      const { inviteLastsMs } = signIn
      const invited = await signIn.users.invite(user, inviteLastsMs)
      const { created, ...shown } = invited.user
      return {
        ...shown,
        created: new Date(created).toISOString(),
        link: signIn.linkOf(invited.secret),
        expires: new Date(Date.now() + inviteLastsMs).toISOString(),
      }
    },
  }),
  route({
    method: 'DELETE',
    path: '/users/{email}',
    id: 'users.remove',
    summary: 'Remove a person with a password of the gateway’s own; their sessions end at once',
    permission: 'admin',
    audit: 'identity.removed',
    params: z.object({ email: z.string().min(3).max(320) }),
    responses: { 204: { description: 'Removed' } },
    async handler({ services, caller, params }) {
      const { signIn, audit } = services
      const subject = await signIn.users.subject(params.email)
      await audit.note('identity.removed', {
        subject: subjectFacts(caller.subject),
        user: { email: params.email },
      })
      if (!(await signIn.users.remove(params.email)))
        throw new GatewayError('not-found', { detail: `there is no user ${params.email}` })
      if (subject !== undefined) await signIn.sessions.endAll(subject)
    },
  }),
]
