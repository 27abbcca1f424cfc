import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

const settleMs = 200

/**
 * Calls back when one of the files has changed, once things are quiet. Watches directories, since editors and
 * orchestrators replace files and links rather than write into them.
 */
export function watchFiles(files: readonly string[], changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const names = new Map<string, Set<string>>()
  for (const file of files) {
    const directory = dirname(file)
    names.set(directory, (names.get(directory) ?? new Set()).add(basename(file)))
  }
  const watchers: FSWatcher[] = [...names].map(([directory, watched]) =>
    watch(directory, { persistent: false }, (_event, name) => {
      // `..data` is how Kubernetes swaps a mounted configuration.
      if (name !== null && !watched.has(name) && name !== '..data') return
      clearTimeout(timer)
      timer = setTimeout(changed, settleMs)
    }),
  )
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
