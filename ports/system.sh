#!/bin/sh
# Makes sure that the tools from outside of Python are there: installs what is missing on a
# Debian-like machine as root, else names it. Tried with Debian 12; the versions there are in
# the third column.
set -e

missing=""
while read -r tool package version; do
    if ! command -v "$tool" >/dev/null 2>&1 && [ ! -e "$tool" ]; then
        missing="$missing $package"
    fi
done <<'TOOLS'
gcc gcc 12.2.0
make make 4.3
cmake cmake 3.25.1
clang clang 14.0
/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a libclang-rt-14-dev 14.0.6
arm-none-eabi-gcc gcc-arm-none-eabi 12.2.rel1
/usr/lib/arm-none-eabi/include/stdint.h libnewlib-arm-none-eabi 3.3.0
riscv64-unknown-elf-gcc gcc-riscv64-unknown-elf 12.2.0
/usr/lib/picolibc/riscv64-unknown-elf/include/stdint.h picolibc-riscv64-unknown-elf 1.8
qemu-system-arm qemu-system-arm 7.2
qemu-system-riscv32 qemu-system-misc 7.2
xtensa-lx106-elf-gcc gcc-xtensa-lx106 12.2.0
xtensa-lx106-elf-ld binutils-xtensa-lx106 2.40
/usr/lib/xtensa-lx106-elf/include/stdint.h picolibc-xtensa-lx106-elf 1.8
qemu-xtensa qemu-user 7.2
TOOLS

# Python's venv needs ensurepip, which Debian packs apart.
python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
else
    echo "these Debian packages are missing:$missing" >&2
    echo "install them (as root: apt-get install$missing), then run make again" >&2
    exit 1
fi
