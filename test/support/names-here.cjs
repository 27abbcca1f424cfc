/**
 * For a program whose API has a name that only a company's own DNS knows: with `NODE_OPTIONS=--require`, names that end
 * in `.test` (RFC 6761) are this machine.
 */
const dns = require('node:dns')

const { lookup } = dns
dns.lookup = (name, options, callback) => {
  const [given, done] = typeof options === 'function' ? [{}, options] : [options, callback]
  return lookup(name.endsWith('.test') ? '127.0.0.1' : name, given, done)
}
