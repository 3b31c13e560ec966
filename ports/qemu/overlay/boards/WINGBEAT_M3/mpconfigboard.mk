QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385

# The processor is told to trap unaligned accesses: see mcu/arm/startup.c.
CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft -mno-unaligned-access
CFLAGS += -DCMSDK_UART=0x40004000u -DCMSDK_TIMER=0x40000000u -DCMSDK_TICK_NS=40
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
CFLAGS += -DMP_CONFIGFILE='<wingbeat_config.h>'

LDSCRIPT = boards/WINGBEAT_M3/board.ld

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_BOARD_O += mcu/arm/cmsdk.o

MPY_CROSS_FLAGS += -march=armv7m
