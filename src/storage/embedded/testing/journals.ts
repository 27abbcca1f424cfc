import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Batch } from '../../storage.ts'
import type { Files } from '../files.ts'
import { frameLength, layOutFrame } from '../frame.ts'
import { JournalReader } from '../journal-reader.ts'
import { JournalWriter } from '../journal-writer.ts'

/** Memory where there is any: what is tested here is which calls are made, not what the disk does. */
const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(root, 'sallyport-journal-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export const small = { segmentBytes: 64 * 1024, reserveBytes: 0, checkSegments: 100 }

/** A journal with small files and no reserve, in the calling thread. */
export function openJournal(directory: string, files?: Files): JournalWriter {
  return new JournalWriter({ directory, ...small, ...(files === undefined ? {} : { files }) })
}

export function frameOf(batch: Batch): Buffer {
  const frame = Buffer.alloc(frameLength(batch))
  layOutFrame(batch, frame)
  return frame
}

export function batchOf(start: number, ...texts: string[]): Batch {
  return { start, entries: texts.map(text => Buffer.from(text)), blobs: [] }
}

/** All entries, as text, that a fresh opening finds. The journal is closed again. */
export async function reopen(directory: string): Promise<string[]> {
  const writer = openJournal(directory)
  const { id, recovered } = writer
  writer.close()
  const reader = new JournalReader({ directory, id, marks: recovered.marks })
  try {
    const found: string[] = []
    for await (const { entries } of reader.frames(0, recovered.size)) found.push(...entries.map(String))
    return found
  } finally {
    await reader.close()
  }
}
