// A Raspberry Pi Pico with a ROMFS partition, which takes 512 KB from the file system.
#define MICROPY_HW_BOARD_NAME                   "Raspberry Pi Pico"
#define MICROPY_HW_ROMFS_BYTES                  (512 * 1024)
#define MICROPY_HW_FLASH_STORAGE_BYTES          (896 * 1024)
