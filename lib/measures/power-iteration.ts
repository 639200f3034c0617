import type { HessianResult, Solve } from "./hessian.js";
import type { KrylovSpace } from "./krylov-space.js";

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
