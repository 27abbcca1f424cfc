import { storageContract } from '../contract.ts'
import { openMemoryStorage } from './index.ts'

storageContract('memory', async () => ({ storage: openMemoryStorage(), dispose: async () => undefined }))
