/** The tasks extension (SEP-2663): who speaks it, and the shapes of its messages that both sides of the gateway share. */
import type { ClientProfile } from '../envelope.ts'
import { codes, type Fields, fieldsOf, isFields, RpcError, textOf } from '../rpc.ts'

export const tasksExtension = 'io.modelcontextprotocol/tasks'

export type TaskMethod = 'tasks/get' | 'tasks/update' | 'tasks/cancel'

/** Said with each request anew; the eras before 2026-07-28 have another thing of that name. */
export function declaresTasks({ era, capabilities }: Pick<ClientProfile, 'era' | 'capabilities'>): boolean {
  return era === 'modern' && isFields(fieldsOf(capabilities['extensions'])[tasksExtension])
}

/** A notification of a task, of either era. */
export function isOfTasks(method: string): boolean {
  return method === 'notifications/tasks' || method.startsWith('notifications/tasks/')
}

export function tasksMissing(): RpcError {
  return new RpcError(codes.missingCapability, 'This needs a client that declares the tasks extension', {
    status: 400,
    data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
  })
}

/** What an unknown, an expired and somebody else's task get alike. */
export function unknownTask(): RpcError {
  return new RpcError(codes.invalidParams, 'Invalid params: there is no such task')
}

/** The result that a task has come to, where this is a task that has. */
export function finalOf(result: Fields): Fields | undefined {
  return typeof result['taskId'] === 'string' && isFields(result['result']) ? result['result'] : undefined
}

export function withFinal(result: Fields, final: Fields): Fields {
  return finalOf(result) === undefined ? final : { ...result, result: final }
}

const statuses = new Set(['working', 'input_required', 'completed', 'failed', 'cancelled'])
const date = /^\d{4}-\d\d-\d\dT[\d:.]{5,15}(?:Z|[+-]\d\d:\d\d)$/

/** Whether a member of a task carries the protocol and nobody's data. */
export function isTaskMember(name: string, value: unknown): boolean {
  switch (name) {
    case 'status':
      return statuses.has(textOf(value) ?? '')
    case 'createdAt':
    case 'lastUpdatedAt':
      return date.test(textOf(value) ?? '')
    case 'ttlMs':
    case 'pollIntervalMs':
      return typeof value === 'number' || value === null
    default:
      return false
  }
}

/** The ids that a `subscriptions/listen` asks about. */
export function taskIdsIn(params: Fields): readonly string[] {
  const ids = fieldsOf(params['notifications'])['taskIds']
  return Array.isArray(ids) ? (ids as unknown[]).filter(each => typeof each === 'string') : []
}
