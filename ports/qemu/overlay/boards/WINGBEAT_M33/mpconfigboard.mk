QEMU_ARCH = arm
QEMU_MACHINE = mps2-an505

# The processor is told to trap unaligned accesses: see mcu/arm/startup.c.
AFLAGS += -mthumb -mcpu=cortex-m33
CFLAGS += -mthumb -mcpu=cortex-m33 -mfpu=fpv5-sp-d16 -mfloat-abi=hard -mno-unaligned-access
CFLAGS += -DCMSDK_UART=0x50200000u -DCMSDK_TIMER=0x50000000u -DCMSDK_TICK_NS=50
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M33"'
CFLAGS += -DMP_CONFIGFILE='<wingbeat_config.h>'

LDSCRIPT = boards/WINGBEAT_M33/board.ld

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_BOARD_O += mcu/arm/cmsdk.o

MPY_CROSS_FLAGS += -march=armv7emsp
