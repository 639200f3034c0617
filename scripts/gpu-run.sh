#!/bin/sh
# Builds against the CUDA PyTorch of python3 (or of PYTHON), then runs the tests of GPUs and the benchmarks.
#   run                  all of it
#   run build|test|bench a part
#   run node …           the node that is packed here, in this folder
set -e
cd "$(dirname "$0")"
PATH="$PWD/bin:$PATH"
LIBTORCH_USE_PYTORCH=1
CRITICAL_SHARPNESS_PYTHON="${CRITICAL_SHARPNESS_PYTHON:-${PYTHON:-python3}}"
export PATH LIBTORCH_USE_PYTORCH CRITICAL_SHARPNESS_PYTHON

build() { node scripts/build-native.mjs --cuda ${ARCHITECTURES:+--CRITICAL_SHARPNESS_CUDA_ARCHITECTURES="$ARCHITECTURES"}; }
case "${1:-all}" in
  build) build ;;
  test) node test/gpu/run.mjs ;;
  bench) node bench/gpu.mjs ;;
  node) shift && exec node "$@" ;;
  all)
    build
    node dist/cli/main.js doctor
    node test/gpu/run.mjs
    node bench/gpu.mjs
    ;;
  *) echo "Usage: run [build|test|bench|node …]" >&2 && exit 2 ;;
esac
