set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# The manifest takes nothing from micropython-lib, but the build looks for its README.
set(MICROPY_LIB_DIR ${MICROPY_DIR})

# Debian packs ARM's libstdc++ apart (313 MB). The only C++ is the SDK's operators new and delete,
# which nothing uses: leave them out and link as C.
add_compile_definitions(PICO_CXX_DISABLE_ALLOCATION_OVERRIDES=1)
cmake_language(DEFER CALL set_target_properties ${MICROPY_TARGET} PROPERTIES LINKER_LANGUAGE C)
set(CMAKE_C_STANDARD_LIBRARIES "-lm")

# Equal inputs give equal bytes, wherever the build is.
add_compile_options(
    -ffile-prefix-map=${MICROPY_DIR}=micropython
    -ffile-prefix-map=${PICO_SDK_PATH_OVERRIDE}=pico-sdk
)
