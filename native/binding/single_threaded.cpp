#if __has_include(<sys/single_threaded.h>)
// glibc has this flag since 2.32, and libstdc++'s headers ask it whether shared pointers may count without atomic operations.
// One of our own, which always says that there are several threads, lets the addon load on an older system too.
extern "C" {
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}
#endif
