import { hessianEigenvalues } from "../../dist/curvature/index.js";

/** The largest eigenvalue of P^(−½)HP^(−½) in the course of training, each search going on from the eigenvector of the one before. */
export class Tracked {
  #vector;

  /** @param how options of `hessianEigenvalues` */
  constructor(how) {
    this.how = how;
  }

  async measure({ model, optimizer, batch }) {
    const preconditioner = await optimizer.preconditioner();
    const { eigenvalues, eigenvectors } = await hessianEigenvalues({
      ...{ model, batch, eigenvectors: true },
      ...(preconditioner && { preconditioner }),
      ...(this.#vector && { initial: this.#vector }),
      ...this.how,
    });
    preconditioner?.dispose();
    this.dispose();
    [this.#vector] = eigenvectors;
    return eigenvalues[0];
  }

  dispose() {
    this.#vector?.dispose();
  }
}
