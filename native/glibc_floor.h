// Included before every source on linux-x64, by CMakeLists.txt. The addon may need no newer a system than libtorch itself
// does (glibc 2.28, libstdc++ 3.4.22), wherever it is built: these functions have had newer versions since, which do the
// same for us. `npm run pack:all` looks at what a built addon needs.
#pragma once

__asm__(".symver pow, pow@GLIBC_2.2.5");  // 2.29 only leaves errno alone
// std::condition_variable::wait, which became able to throw in 3.4.30.
__asm__(
    ".symver _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE, "
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
