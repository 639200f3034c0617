import { spawnSync } from "node:child_process";
import { libtorchError, libtorchVersion } from "./libtorch.js";

/** The Python to ask: the variable PYTHON, or python3. */
export const pythonCommand = (environment: NodeJS.ProcessEnv) => environment.PYTHON || "python3";

// find_spec, not import: importing PyTorch takes seconds and needs its own dependencies. The current folder, which `-c` puts
// on the path, is taken off: a folder torch/ in it is no PyTorch.
const findTorch = `
import sys
sys.path = [p for p in sys.path if p]
from importlib.util import find_spec
spec = find_spec("torch")
print(list(spec.submodule_search_locations)[0] if spec and spec.origin else "")`;

/**
 * The folder of Python's PyTorch, which is a libtorch with headers.
 *
 * @throws CriticalSharpnessError `ERR_LIBTORCH_NOT_FOUND` if Python does not run or has no PyTorch.
 */
export function pythonTorch(environment: NodeJS.ProcessEnv): string {
  const python = pythonCommand(environment);
  const { status, stdout, stderr, error } = spawnSync(python, ["-c", findTorch], {
    encoding: "utf8",
    env: environment,
  });
  if (status !== 0)
    throw libtorchError(
      `Expected a Python that runs for LIBTORCH_USE_PYTORCH=1 but "${python}" says: ${lastLine(stderr) || error?.message}. Set PYTHON to the python3 whose PyTorch to use`,
    );
  const folder = lastLine(stdout);
  if (!folder)
    throw libtorchError(
      `Expected PyTorch for LIBTORCH_USE_PYTORCH=1 but "${python}" has none. Run \`${python} -m pip install torch==${libtorchVersion}\`, or set PYTHON to the python3 that has it`,
    );
  return folder;
}

/** The last line of a program's output, which is where Python and pip say what happened. */
export const lastLine = (text: string | null) => text?.trim().split("\n").pop()?.trim() ?? "";
