/** What a package with libtorch says of the software in it. */
export function notices({ wheel, os, cpu }, version) {
  const intel =
    cpu === "x64"
      ? `
- **Intel oneAPI Math Kernel Library**, linked into libtorch_cpu by PyTorch: Copyright Intel Corporation, under the Intel
  Simplified Software License, https://www.intel.com/content/www/us/en/developer/articles/license/end-user-license-agreement.html`
      : "";
  const openmp =
    os === "linux"
      ? `
- **libgomp**, GCC's OpenMP runtime: Copyright Free Software Foundation, Inc., under the GNU General Public License,
  version 3, with the GCC Runtime Library Exception, version 3.1; https://gcc.gnu.org/onlinedocs/libstdc++/manual/license.html
  has both, and https://gcc.gnu.org the sources`
      : `
- **libomp**, LLVM's OpenMP runtime: under the Apache License 2.0 with LLVM Exceptions,
  licenses/third_party/llvm-openmp/LICENSE.txt`;
  return `# Notices

The libraries in lib/ are those of PyTorch ${version}, from
${wheel.url}
(SHA-256 ${wheel.sha256}), unchanged but for symbols that were stripped.

- **PyTorch**: a BSD-style licence, LICENSE
- **what PyTorch contains of others**: licenses/third_party/ has the licence of each${openmp}${intel}
`;
}
