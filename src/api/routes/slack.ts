import { z } from 'zod'
import { route } from '../route.ts'

const codeParam = z.object({ code: z.string().min(1).max(100) })
const slackUser = z.object({ team: z.string(), user: z.string(), username: z.string() })

/** Slack's side of the approvals. */
export const slackRoutes = [
  route({
    method: 'POST',
    path: '/integrations/slack/interactions',
    id: 'slack.interact',
    summary: 'Where Slack sends clicks: the interactivity address of the Slack app',
    // Slack has no token of ours: its signature over the raw body is checked instead, and whose click it is.
    permission: 'public',
    audit: 'approval.voted',
    raw: true,
    responses: { 200: { description: 'Taken; what came of it is told in Slack' } },
    async handler({ services, request, body }) {
      await services.slack.interactions.take(request.headers, body)
    },
  }),
  route({
    method: 'GET',
    path: '/integrations/slack/links/{code}',
    id: 'slack.offered',
    summary: 'Whose Slack user a code would link to the caller',
    permission: 'user',
    audit: { none: 'shows what Slack showed the holder of the code' },
    params: codeParam,
    responses: { 200: { description: 'The Slack user', schema: slackUser } },
    handler: ({ services, params }) => services.slack.links.offered(params.code),
  }),
  route({
    method: 'POST',
    path: '/integrations/slack/links/{code}',
    id: 'slack.link',
    summary: 'Link that Slack user to the caller: their clicks are the caller’s votes, for a while',
    permission: 'user',
    audit: 'identity.linked',
    params: codeParam,
    responses: { 201: { description: 'The Slack user', schema: slackUser } },
    handler: ({ services, caller, params }) => services.slack.links.link(params.code, caller.subject),
  }),
  route({
    method: 'DELETE',
    path: '/integrations/slack/links',
    id: 'slack.unlink',
    summary: 'End every link of a Slack user to the caller',
    permission: 'user',
    audit: { none: 'it takes a right away from the caller alone' },
    responses: { 200: { description: 'How many there were', schema: z.object({ ended: z.number() }) } },
    handler: async ({ services, caller }) => ({ ended: await services.slack.links.unlink(caller.subject) }),
  }),
]
