QEMU_ARCH = riscv32
QEMU_MACHINE = virt

# Without Zicsr in the name, which Debian's gcc 12 does not find its libraries by.
RV32_ARCH = rv32imac -misa-spec=2.2

CFLAGS += -mstrict-align
CFLAGS += -DQEMU_SOC_VIRT
CFLAGS += -DMICROPY_HW_MCU_NAME='"RV32IMAC"'
CFLAGS += -DMP_CONFIGFILE='<wingbeat_config.h>'

# Only headers are taken from a C library: Debian's newlib, instead of its picolibc of 1 GB.
override PICOLIBC_SPECS = picolibc.specs
CFLAGS += -isystem /usr/include/newlib

LDSCRIPT = $(BOARD_DIR)/board.ld
LDFLAGS += -nostdlib
LIBS = $(shell $(CC) $(CFLAGS) -print-libgcc-file-name)

SRC_BOARD_O += shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o
SRC_BOARD_O += mcu/rv32/clock.o

MPY_CROSS_FLAGS += -march=rv32imc
