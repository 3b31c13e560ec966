QEMU_ARCH = arm
QEMU_MACHINE = microbit

CFLAGS += -mthumb -mcpu=cortex-m0 -mfloat-abi=soft
CFLAGS += -DQEMU_SOC_NRF51
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M0"'
CFLAGS += -DMP_CONFIGFILE='<wingbeat_config.h>'

LDSCRIPT = $(BOARD_DIR)/board.ld

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb1.o
SRC_BOARD_O += mcu/arm/clock_nrf51.o

MPY_CROSS_FLAGS += -march=armv6m
