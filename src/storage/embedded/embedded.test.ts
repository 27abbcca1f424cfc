import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storageContract } from '../contract.ts'
import { openEmbeddedStorage } from './storage.ts'

storageContract('embedded', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-storage-'))
  const storage = await openEmbeddedStorage({
    directory,
    config: { segment_bytes: 1024 * 1024, reserve_bytes: 64 * 1024 },
  })
  return { storage, dispose: () => rm(directory, { recursive: true }) }
})
