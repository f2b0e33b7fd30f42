// The one function of bcryptprimitives.dll that Rust's standard library calls, for versions of Wine
// that lack this library of Windows 10. For tests only.
#include <stddef.h>

// RtlGenRandom of advapi32.
__declspec(dllimport) unsigned char SystemFunction036(void *buffer, unsigned long length);

__declspec(dllexport) int ProcessPrng(unsigned char *buffer, size_t length) {
    return SystemFunction036(buffer, (unsigned long)length);
}

// Without a C library, this is where a DLL is entered.
int DllMainCRTStartup(void *instance, unsigned long reason, void *reserved) {
    return 1;
}
