import { generateKeyPairSync } from 'node:crypto'
import { headText, noteSigner, type NoteSigner, signNote } from '../../audit/note.ts'
import { consistencyProof, leafHash, nodeHash, rootOf } from '../../audit/tree.ts'

/** A log in memory that signs whatever heads a test asks for. */
export class SampleLog {
  readonly leaves: Buffer[] = []
  readonly signer: NoteSigner

  constructor(origin: string, leaves: number) {
    this.signer = noteSigner(origin, generateKeyPairSync('ed25519').privateKey)
    for (let i = 0; i < leaves; i++) this.leaves.push(Buffer.from(`${origin} ${i}`))
  }

  /** The checkpoint of the first `size` leaves. */
  async note(size: number, signers: readonly NoteSigner[] = [this.signer]): Promise<string> {
    const root = await rootOf(size, this.#hashOf)
    return await signNote(headText({ origin: this.signer.name, size, root }), signers)
  }

  async proof(old: number, size: number): Promise<Buffer[]> {
    return old === 0 ? [] : await consistencyProof(old, size, this.#hashOf)
  }

  readonly #hashOf = async ({ level, index }: { level: number; index: number }): Promise<Buffer> => {
    const hash = (from: number, to: number): Buffer => {
      const middle = from + (to - from) / 2
      return to - from === 1 ? leafHash(this.leaves[from]!) : nodeHash(hash(from, middle), hash(middle, to))
    }
    return hash(index * 2 ** level, (index + 1) * 2 ** level)
  }
}
