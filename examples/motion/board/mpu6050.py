# An MPU-6050 (accelerometer and gyroscope) that gathers readings in its FIFO, 50 a second.
ADDRESS = 0x68
RATE = 50
CHANNELS = 6

_SMPLRT_DIV = 0x19  # this, CONFIG, GYRO_CONFIG and ACCEL_CONFIG follow each other
_FIFO_EN = 0x23
_USER_CTRL = 0x6A
_PWR_MGMT_1 = 0x6B
_FIFO_COUNT = 0x72
_FIFO = 0x74
_FIFO_SIZE = 1024
_BYTES = 2 * CHANNELS


class MPU6050:
    def __init__(self, i2c, most=64):
        self.i2c = i2c
        self.count = bytearray(2)
        self.raw = bytearray(_BYTES * most)
        self._write(_PWR_MGMT_1, 1)  # awake, with the gyroscope's clock
        # 1 kHz / 20; low-pass of 44 Hz; +-2000 degrees/s; +-16 g
        self._write(_SMPLRT_DIV, 1000 // RATE - 1, 3, 0x18, 0x18)
        self._write(_FIFO_EN, 0x78)  # all six axes
        self.reset()

    def _write(self, register, *values):
        self.i2c.writeto_mem(ADDRESS, register, bytes(values))

    def reset(self):
        self._write(_USER_CTRL, 0)
        self._write(_USER_CTRL, 0x44)  # empty the FIFO, and use it

    def read_into(self, block):
        """Put what the FIFO has into an array("h") of ax ay az wx wy wz.

        Returns the number of readings, or None if the FIFO ran over and some are lost.
        """
        self.i2c.readfrom_mem_into(ADDRESS, _FIFO_COUNT, self.count)
        waiting = self.count[0] << 8 | self.count[1]
        if waiting > _FIFO_SIZE - _BYTES:
            self.reset()
            return None
        readings = min(waiting // _BYTES, len(block) // CHANNELS, len(self.raw) // _BYTES)
        if readings:
            raw = memoryview(self.raw)[: readings * _BYTES]
            self.i2c.readfrom_mem_into(ADDRESS, _FIFO, raw)
            for number in range(readings * CHANNELS):
                value = raw[2 * number] << 8 | raw[2 * number + 1]
                block[number] = value - 65536 if value & 0x8000 else value
        return readings
