// A Raspberry Pi Pico with a ROMFS partition, which takes 256 KB from the file system.
#define MICROPY_HW_BOARD_NAME                   "Raspberry Pi Pico"
#define MICROPY_HW_ROMFS_BYTES                  (256 * 1024)
#define MICROPY_HW_FLASH_STORAGE_BYTES          (1152 * 1024)
