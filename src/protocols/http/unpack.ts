import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'

/** Most bytes of one recorded body that are unpacked for reading. */
const mostUnpacked = 16 * 1024 * 1024

const decoders: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
  zstd1: zstdDecompressSync,
}

/**
 * A recorded body for reading. As it came where it is cut, is not what it says it is, or is recorded unpacked, as a
 * body is in which something was masked. Blocks: for commands, not for the path.
 */
export function unpacked(bytes: Buffer, encoding: string | undefined): Buffer {
  const decode = decoders[encoding?.trim().toLowerCase() ?? '']
  if (decode === undefined) return bytes
  try {
    return decode(bytes, { maxOutputLength: mostUnpacked })
  } catch {
    return bytes
  }
}
