#!/bin/sh
# What rustc calls as linker, and build scripts as C compiler, for $ZIG_TARGET: zig, but for arguments
# that it does not know or does not need.
for arg do
    shift
    case $arg in
        # Zig's own unwinder, linked statically.
        -lgcc_s | -lgcc_eh) set -- "$@" -lunwind ;;
        # The target is given below, with a version.
        --target=*) ;;
        # Start files of another C library.
        */self-contained/*crt*.o) ;;
        # Zig has Windows's newer C library, and functions in it that LLVM calls.
        -lmsvcrt | -nolibc) ;;
        # The list of what a library exports, which Zig knows as a file only.
        -Wl,*.def) set -- "$@" "${arg#-Wl,}" ;;
        # Libraries that crates ask for, but nothing in them is used.
        -lkvm | -lmemstat | -lprocstat | -ldevstat | -lobjc | -liconv | -framework | Foundation) ;;
        *) set -- "$@" "$arg" ;;
    esac
done
# Names of files must not depend on the user; those in Zig's checks of undefined behaviour, which it
# adds where optimisation is off, would.
exec "$ZIG" cc -target "$ZIG_TARGET" -fno-sanitize=all -ffile-prefix-map="$CARGO_HOME=/cargo" "$@"
