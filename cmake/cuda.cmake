# native/cuda into the core. Its kernels are compiled by nvcc alone: CMake's CUDA language and CUDAToolkit want libraries in
# places where pip's nvidia-* packages do not have them, and CMake 3.25 does not know C++20 for CUDA.
set(CRITICAL_SHARPNESS_NVCC "" CACHE FILEPATH "CUDA's compiler; `npm run build` finds it")
set(CRITICAL_SHARPNESS_CUDA_ARCHITECTURES "80;90" CACHE STRING "compute capabilities with machine code; later ones compile the last one's PTX when it is loaded")
if(NOT EXISTS "${LIBTORCH_ROOT}/lib/libtorch_cuda.so")
  message(FATAL_ERROR "CRITICAL_SHARPNESS_CUDA needs a CUDA build of libtorch, but ${LIBTORCH_ROOT} is a CPU build")
endif()
if(NOT EXISTS "${CRITICAL_SHARPNESS_NVCC}")
  message(FATAL_ERROR "CRITICAL_SHARPNESS_CUDA needs CRITICAL_SHARPNESS_NVCC, the path of nvcc; `npm run build` finds it")
endif()

set(nvcc_flags -std=c++20 -O3 -DNDEBUG --expt-relaxed-constexpr
  # As on the CPU: no contraction to fused multiply-add, so that both give the same bits.
  -fmad=false
  "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall"
  -D_GLIBCXX_USE_CXX11_ABI=1 -DCRITICAL_SHARPNESS_WITH_CUDA
  "-I${CMAKE_SOURCE_DIR}/native/core"
  -isystem "${LIBTORCH_ROOT}/include" -isystem "${LIBTORCH_ROOT}/include/torch/csrc/api/include")
# Where PyTorch brings NCCL's header, our declarations are held against it.
if(EXISTS "${LIBTORCH_ROOT}/../nvidia/nccl/include/nccl.h")
  list(APPEND nvcc_flags -isystem "${LIBTORCH_ROOT}/../nvidia/nccl/include")
endif()
foreach(capability ${CRITICAL_SHARPNESS_CUDA_ARCHITECTURES})
  list(APPEND nvcc_flags "-gencode=arch=compute_${capability},code=sm_${capability}")
endforeach()
list(GET CRITICAL_SHARPNESS_CUDA_ARCHITECTURES -1 latest)
list(APPEND nvcc_flags "-gencode=arch=compute_${latest},code=compute_${latest}")

# Objects for whatever links the core.
set(cuda_objects "")
file(GLOB kernel_sources CONFIGURE_DEPENDS native/cuda/*.cu)
foreach(source ${kernel_sources})
  get_filename_component(name "${source}" NAME)
  set(object "${CMAKE_BINARY_DIR}/cuda/${name}.o")
  add_custom_command(
    OUTPUT "${object}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_BINARY_DIR}/cuda"
    COMMAND ${CCACHE_COMMAND} "${CRITICAL_SHARPNESS_NVCC}" ${nvcc_flags} -MD -MF "${object}.d" -c "${source}" -o "${object}"
    DEPENDS "${source}" DEPFILE "${object}.d" COMMENT "nvcc ${name}" VERBATIM COMMAND_EXPAND_LISTS)
  list(APPEND cuda_objects "${object}")
endforeach()

file(GLOB formula_sources CONFIGURE_DEPENDS native/cuda/*.cpp)
target_sources(core PRIVATE ${formula_sources})
target_compile_definitions(core PUBLIC CRITICAL_SHARPNESS_WITH_CUDA)
import_libtorch_library(c10_cuda)
# The CUDA runtime is not named: its symbols come from the copy that c10_cuda depends on, whatever its file is called.
target_link_libraries(core PUBLIC c10_cuda)
