import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Every regular file below a directory. */
export async function readTree(
  directory: string,
): Promise<readonly { readonly path: string; readonly bytes: Buffer }[]> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  return Promise.all(
    files
      .filter(each => each.isFile())
      .map(async each => {
        const path = join(each.parentPath, each.name)
        return { path, bytes: await readFile(path) }
      }),
  )
}
