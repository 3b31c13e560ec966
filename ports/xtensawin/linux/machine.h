// What the program and the emulator's plug-in agree on.
#ifndef WINGBEAT_XTENSA_MACHINE_H
#define WINGBEAT_XTENSA_MACHINE_H

// Native code goes here. As on an ESP32, data of this memory is only read and written in aligned
// words of 32 bits: the plug-in ends a program that does otherwise. All code must lie in the same
// GB, since a return address in a register window has 30 bits.
#define INSTRUCTION_MEMORY 0x20000000
#define INSTRUCTION_MEMORY_SIZE (128 * 1024)

// Reading 8 bytes from this file descriptor gives the number of instructions executed so far.
#define COUNTER_FD 200

#endif
