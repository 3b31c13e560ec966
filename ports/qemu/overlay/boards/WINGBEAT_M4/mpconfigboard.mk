QEMU_ARCH = arm
QEMU_MACHINE = mps2-an386

# The processor is told to trap unaligned accesses: see mcu/arm/startup.c.
CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -mno-unaligned-access
CFLAGS += -DCMSDK_UART=0x40004000u -DCMSDK_TIMER=0x40000000u -DCMSDK_TICK_NS=40
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M4F"'
CFLAGS += -DMP_CONFIGFILE='<wingbeat_config.h>'

LDSCRIPT = boards/WINGBEAT_M3/board.ld

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_BOARD_O += mcu/arm/cmsdk.o

MPY_CROSS_FLAGS += -march=armv7emsp
