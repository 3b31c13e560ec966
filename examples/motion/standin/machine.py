# Stands in for an MPU-6050 on the I2C bus: its FIFO fills with recording.bin, int16 [time, axes],
# as the stand-in's time passes. Ends the program after the recording.
import time

_FIFO_SIZE = 1024
_SETTINGS = {  # what the recordings were made with: divider, low-pass, ranges; axes in the FIFO
    50: (b"\x13\x03\x18\x18", 0x78),
    1000: (b"\x00\x01\x18\x00", 0x08),
}


class Pin:
    def __init__(self, number):
        pass


class I2C:
    def __init__(self, number, sda, scl, freq):
        self.registers = bytearray(128)
        self.file = open("recording.bin", "rb")  # noqa: SIM115
        self.fifo = b""
        self.sampled = 0

    def _sample(self):
        """Let the sensor take the readings that are due."""
        registers = self.registers
        assert registers[0x6B] == 1, "asleep"
        rate = 1000 // (registers[0x19] + 1)
        assert (bytes(registers[0x19:0x1D]), registers[0x23]) == _SETTINGS[rate]
        size = 12 if registers[0x23] == 0x78 else 6
        due = time.now * rate // 1000 - self.sampled
        self.sampled += due
        data = self.file.read(due * size)
        if len(data) < due * size:
            raise SystemExit
        if registers[0x6A] & 0x40:
            swapped = bytearray(data)
            for at in range(0, len(swapped), 2):
                swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
            self.fifo = (self.fifo + swapped)[-_FIFO_SIZE:]

    def writeto_mem(self, address, register, data):
        assert address == 0x68
        self.registers[register : register + len(data)] = data
        if register == 0x6A and data[0] & 0x04:
            self.fifo = b""

    def readfrom_mem_into(self, address, register, buffer):
        assert address == 0x68
        if register == 0x72:
            self._sample()
            buffer[0], buffer[1] = len(self.fifo) >> 8, len(self.fifo) & 0xFF
        else:
            assert register == 0x74
            assert len(buffer) <= len(self.fifo)
            buffer[:] = self.fifo[: len(buffer)]
            self.fifo = self.fifo[len(buffer) :]
