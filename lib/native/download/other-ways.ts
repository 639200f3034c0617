import { libtorchVersion } from "../libtorch-release.js";

/** What ends the messages of downloads that fail. */
export const otherWays = `Set CRITICAL_SHARPNESS_LIBTORCH to the folder of a libtorch ${libtorchVersion}, or LIBTORCH_USE_PYTORCH=1 to use python3's PyTorch`;
