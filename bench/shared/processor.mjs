// Ratios of processor times in one process, in pairs that take turns: what else runs on the machine hardly shows.
const pairs = 9;

/** Seconds of processor time that a call takes. */
async function cost(call) {
  const before = process.cpuUsage();
  await call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Median of the ratios of `a` to `b`, each pair in turns, after one of each. */
export async function processorRatio(a, b) {
  await a();
  await b();
  const found = [];
  for (let i = 0; i < pairs; i++) {
    const [first, second] = i % 2 ? [b, a] : [a, b];
    const one = await cost(first);
    const two = await cost(second);
    found.push(i % 2 ? two / one : one / two);
  }
  return found.sort((x, y) => x - y)[(pairs - 1) / 2];
}

/** Made-up ids, the same every time. */
export function tokenData(rows, length, vocabulary) {
  const ids = (k) => Int32Array.from({ length: rows * length }, (_, i) => (i * 2654435761 + k) % vocabulary);
  return { inputIds: ids(1), labels: ids(7), shape: [rows, length] };
}

/** Factors of rank 8 for every matrix of the layers. */
export function factorsOf(model) {
  const numbers = (n, k) => Float32Array.from({ length: n }, (_, i) => Math.sin(k * (i + 1)) / 16);
  return Object.fromEntries(
    model.parameters
      .filter((p) => p.shape.length === 2 && /\.h\./.test(p.name))
      .map(({ name, shape: [out, into] }, k) => [
        name,
        { left: numbers(out * 8, k + 1), right: numbers(8 * into, k + 2), rank: 8 },
      ]),
  );
}
