import type { HessianResult, Solve } from "./hessian.js";
import type { KrylovSpace, RitzPair } from "./krylov-space.js";

/** Lanczos with full reorthogonalisation and thick restarts. */
export async function lanczos(space: KrylovSpace, solve: Solve): Promise<HessianResult> {
  const { count, which, tolerance, maximumIterations, basisSize, onIteration } = solve;
  const wanted = which === "both-ends" ? 2 * count : count;
  await space.start(solve.initial);
  for (;;) {
    await space.step();
    const pairs = space.ritzPairs();
    const chosen = choose(pairs, wanted, which);
    onIteration?.({
      iteration: space.products,
      eigenvalues: chosen.map((pair) => pair.value),
      residuals: chosen.map((pair) => pair.residual),
    });
    // Rounding leaves residuals of the size of A, so that an eigenvalue of zero has none that is small against itself.
    const norm = Math.max(...pairs.map(({ value }) => Math.abs(value)));
    // A start in the null space says nothing of the rest: a random vector must be seen too.
    const seen = norm > 0 || space.products > wanted || space.exhausted;
    const converged =
      seen && chosen.length === wanted && chosen.every(({ residual }) => residual <= tolerance * norm);
    if (converged || space.exhausted || space.products >= maximumIterations)
      return finish(space, solve, chosen, converged);
    // Beside what is wanted, the half of the rest that is next to it: it carries most of what was learned.
    if (space.size >= basisSize)
      await space.restart(choose(pairs, wanted + Math.ceil((basisSize - wanted) / 3), which));
  }
}

/** Some of the pairs that are in descending order: the `count` that lie where `which` says, in its order. */
function choose(pairs: readonly RitzPair[], count: number, which: Solve["which"]): RitzPair[] {
  switch (which) {
    case "largest":
      return pairs.slice(0, count);
    case "smallest":
      return pairs.slice(-count);
    case "magnitude":
      return pairs.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, count);
    case "both-ends":
      if (pairs.length <= count) return [...pairs];
      return [...pairs.slice(0, Math.ceil(count / 2)), ...pairs.slice(-Math.floor(count / 2))];
  }
}

async function finish(
  space: KrylovSpace,
  { eigenvectors }: Solve,
  pairs: readonly RitzPair[],
  converged: boolean,
): Promise<HessianResult> {
  const vectors = [];
  if (eigenvectors) for (const { vector } of pairs) vectors.push(await space.vector(vector));
  return {
    eigenvalues: pairs.map((pair) => pair.value),
    residuals: pairs.map((pair) => pair.residual),
    iterations: space.products,
    converged,
    eigenvectors: vectors,
  };
}

/** q ← Aq/‖Aq‖: to the eigenvalue of the largest magnitude, qᵀAq. */
export async function powerIteration(space: KrylovSpace, solve: Solve): Promise<HessianResult> {
  const { tolerance, maximumIterations, onIteration } = solve;
  await space.start(solve.initial);
  let given = solve.initial !== undefined;
  for (;;) {
    await space.step();
    // In the basis of q and what is new in Aq: Aq = (λ, the residual's norm).
    const [value = 0, residual = 0] = space.lastProduct;
    onIteration?.({ iteration: space.products, eigenvalues: [value], residuals: [residual] });
    // A start in the null space says nothing of the rest.
    if (given && value === 0 && residual === 0 && space.products < maximumIterations) {
      given = false;
      await space.start();
      continue;
    }
    const converged = residual <= tolerance * Math.abs(value);
    if (converged || space.products >= maximumIterations)
      return {
        eigenvalues: [value],
        residuals: [residual],
        iterations: space.products,
        converged,
        eigenvectors: solve.eigenvectors ? [await space.vector([1])] : [],
      };
    using next = await space.vector([value, residual]);
    await space.start(next);
  }
}
