/**
 * The smallest count that chance reaches at most this seldom, where `mean` are usual and events are independent: the
 * least c with e^-m (e m / c)^c <= p, which is Chernoff's bound on the tail of the Poisson distribution. A bound, so
 * the true probability is smaller still.
 */
export function rareFrom(mean: number, probability = 1e-6): number {
  const most = Math.log(probability)
  const bound = (count: number): number => count - mean - count * Math.log(count / mean)
  if (mean <= 0) return 1
  let [low, high] = [Math.ceil(mean), Math.ceil(mean * 2 + 32)]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (bound(middle) <= most) high = middle
    else low = middle + 1
  }
  return low
}
