import { EigenvalueDecomposition } from "ml-matrix";

export interface Eigenpair {
  value: number;
  vector: number[];
}

/** Eigenpairs of a small symmetric matrix, the largest eigenvalue first. */
export function symmetricEigenpairs(matrix: readonly (readonly number[])[]): Eigenpair[] {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    matrix.map((row) => [...row]),
    { assumeSymmetric: true },
  );
  return realEigenvalues
    .map((value, i) => ({ value, vector: eigenvectorMatrix.getColumn(i) }))
    .sort((a, b) => b.value - a.value);
}
