declare module 'pg-cursor' {
  import type { Submittable } from 'pg'
  export default class Cursor implements Submittable {
    constructor(text: string, values?: readonly unknown[])
    submit(connection: unknown): void
    read(rows: number): Promise<object[]>
    close(): Promise<void>
  }
}
