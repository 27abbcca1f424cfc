import { randomUUID } from 'node:crypto'

/** The tasks extension (SEP-2663), which the SDK does not serve. */
export const tasksExtension = 'io.modelcontextprotocol/tasks'

/** A tool's result; what is in it is the tool's business. */
export interface ToolResult {
  readonly content: readonly { readonly type: string; readonly text?: string }[]
  readonly isError?: boolean
}

/** What a tool may do while it runs as a task. */
export interface TaskRun {
  /** Fires when the task is cancelled. */
  readonly signal: AbortSignal
  /** Parks the task until every question is answered; resolves with the answers by the keys of the questions. */
  ask(questions: Readonly<Record<string, object>>): Promise<Readonly<Record<string, unknown>>>
}

export type TaskWork = (run: TaskRun) => Promise<ToolResult>

/** An error of JSON-RPC, for a tool that fails in the protocol and not in its work. */
export class TaskFault extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const ttlMs = 300_000
const pollIntervalMs = 200
const mostTasks = 1000

/** Tasks in memory, oldest dropped first. */
export class Tasks {
  readonly #tasks = new Map<string, Task>()

  /** Starts the work; the task can be asked for at once. */
  start(work: TaskWork): object {
    if (this.#tasks.size >= mostTasks) this.#tasks.delete(this.#tasks.keys().next().value!)
    const task = new Task(work)
    this.#tasks.set(task.id, task)
    return { resultType: 'task', ...task.summary() }
  }

  find(id: unknown): Task | undefined {
    return typeof id === 'string' ? this.#tasks.get(id) : undefined
  }

  close(): void {
    for (const task of this.#tasks.values()) task.cancel()
    this.#tasks.clear()
  }
}

type Status = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled'

export class Task {
  readonly id = `task_${randomUUID()}`
  readonly #created = new Date().toISOString()
  readonly #abort = new AbortController()
  readonly #questions = new Map<string, object>()
  #answers: Record<string, unknown> = {}
  #resume: ((answers: Readonly<Record<string, unknown>>) => void) | undefined
  #updated = this.#created
  #status: Status = 'working'
  #end: object = {}

  constructor(work: TaskWork) {
    work({ signal: this.#abort.signal, ask: questions => this.#ask(questions) }).then(
      result => this.#settle('completed', { result }),
      (error: unknown) =>
        this.#settle('failed', {
          error: {
            code: error instanceof TaskFault ? error.code : -32603,
            message: (error as Error).message,
          },
        }),
    )
  }

  summary(): object {
    const { id: taskId } = this
    return {
      taskId,
      status: this.#status,
      createdAt: this.#created,
      lastUpdatedAt: this.#updated,
      ttlMs,
      pollIntervalMs,
    }
  }

  detail(): object {
    const asks =
      this.#status === 'input_required' ? { inputRequests: Object.fromEntries(this.#questions) } : {}
    return { resultType: 'complete', ...this.summary(), ...asks, ...this.#end }
  }

  /** Takes the answers to questions that are open, and ignores the others. */
  update(answers: Readonly<Record<string, unknown>>): void {
    for (const [key, answer] of Object.entries(answers))
      if (this.#questions.delete(key)) this.#answers[key] = answer
    if (this.#questions.size > 0 || this.#resume === undefined) return
    this.#move('working')
    this.#resume(this.#answers)
    this.#resume = undefined
  }

  /** Without effect once it has ended. */
  cancel(): void {
    this.#settle('cancelled', {})
    this.#abort.abort()
  }

  #ask(questions: Readonly<Record<string, object>>): Promise<Readonly<Record<string, unknown>>> {
    for (const [key, question] of Object.entries(questions)) this.#questions.set(key, question)
    this.#answers = {}
    this.#move('input_required')
    return new Promise(resolve => {
      this.#resume = resolve
    })
  }

  #settle(status: Status, end: object): void {
    if (this.#status !== 'working' && this.#status !== 'input_required') return
    this.#end = end
    this.#move(status)
  }

  #move(status: Status): void {
    this.#status = status
    this.#updated = new Date().toISOString()
  }
}
