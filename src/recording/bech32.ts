/** Bech32 (BIP 173) without the length limit, as age uses it for its keys. */

const charset = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

function polymod(values: readonly number[]): number {
  let check = 1
  for (const value of values) {
    const top = check >>> 25
    check = ((check & 0x1ffffff) << 5) ^ value
    for (let i = 0; i < 5; i++) if ((top >>> i) & 1) check ^= generator[i]!
  }
  return check >>> 0
}

function expand(prefix: string): number[] {
  const codes = Array.from(prefix, char => char.charCodeAt(0))
  return [...codes.map(code => code >> 5), 0, ...codes.map(code => code & 31)]
}

function regroup(data: Iterable<number>, sizes: { from: number; to: number; pad: boolean }): number[] {
  const out: number[] = []
  let bits = 0
  let held = 0
  for (const value of data) {
    held = ((held << sizes.from) | value) & 0xfff
    bits += sizes.from
    while (bits >= sizes.to) {
      bits -= sizes.to
      out.push((held >> bits) & ((1 << sizes.to) - 1))
    }
  }
  if (sizes.pad && bits > 0) out.push((held << (sizes.to - bits)) & ((1 << sizes.to) - 1))
  if (!sizes.pad && (bits >= sizes.from || ((held << (sizes.to - bits)) & ((1 << sizes.to) - 1)) !== 0)) {
    throw new TypeError('bech32: padding is not zero')
  }
  return out
}

/** Encodes bytes under a lower-case prefix. */
export function bech32Encode(prefix: string, bytes: Uint8Array): string {
  const data = regroup(bytes, { from: 8, to: 5, pad: true })
  const check = polymod([...expand(prefix), ...data, 0, 0, 0, 0, 0, 0]) ^ 1
  for (let i = 0; i < 6; i++) data.push((check >>> (5 * (5 - i))) & 31)
  return `${prefix}1${data.map(value => charset[value]).join('')}`
}

/** Decodes; throws TypeError for mixed case, a wrong prefix or a wrong checksum. */
export function bech32Decode(prefix: string, text: string): Buffer {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) throw new TypeError('bech32: mixed case')
  const lower = text.toLowerCase()
  if (!lower.startsWith(`${prefix}1`)) throw new TypeError(`bech32: not a ${prefix} key`)
  const values = Array.from(lower.slice(prefix.length + 1), char => charset.indexOf(char))
  if (values.includes(-1) || values.length < 6) throw new TypeError('bech32: not a key')
  if (polymod([...expand(prefix), ...values]) !== 1) throw new TypeError('bech32: wrong checksum')
  return Buffer.from(regroup(values.slice(0, -6), { from: 5, to: 8, pad: false }))
}
