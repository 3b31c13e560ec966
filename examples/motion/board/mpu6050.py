# An MPU-6050 (accelerometer and gyroscope) that gathers readings in its FIFO.
ADDRESS = 0x68

_SMPLRT_DIV = 0x19  # this, CONFIG, GYRO_CONFIG and ACCEL_CONFIG follow each other
_FIFO_EN = 0x23
_USER_CTRL = 0x6A
_PWR_MGMT_1 = 0x6B
_FIFO_COUNT = 0x72
_FIFO = 0x74
_FIFO_SIZE = 1024
_RANGES = (2, 4, 8, 16)


class MPU6050:
    def __init__(self, i2c, rate, g=16, gyroscope=True):
        """Take `rate` readings a second (4 to 1000), up to `g` and 2000 degrees/s."""
        self.i2c = i2c
        self.channels = 6 if gyroscope else 3
        self.count = bytearray(2)
        self.raw = bytearray(_FIFO_SIZE)
        self._write(_PWR_MGMT_1, 1)  # awake, with the gyroscope's clock
        low_pass = 3 if rate <= 100 else 1  # 44 Hz, 184 Hz
        self._write(_SMPLRT_DIV, 1000 // rate - 1, low_pass, 0x18, _RANGES.index(g) << 3)
        self._write(_FIFO_EN, 0x78 if gyroscope else 0x08)
        self.reset()

    def _write(self, register, *values):
        self.i2c.writeto_mem(ADDRESS, register, bytes(values))

    def reset(self):
        self._write(_USER_CTRL, 0)
        self._write(_USER_CTRL, 0x44)  # empty the FIFO, and use it

    def read_into(self, block):
        """Put what the FIFO has into an array("h") of ax ay az, and wx wy wz with the gyroscope.

        Returns the number of readings, or None if the FIFO ran over and some are lost.
        """
        self.i2c.readfrom_mem_into(ADDRESS, _FIFO_COUNT, self.count)
        waiting = self.count[0] << 8 | self.count[1]
        size = 2 * self.channels
        if waiting > _FIFO_SIZE - size:
            self.reset()
            return None
        readings = min(waiting // size, len(block) // self.channels)
        if readings:
            raw = memoryview(self.raw)[: readings * size]
            self.i2c.readfrom_mem_into(ADDRESS, _FIFO, raw)
            for number in range(readings * self.channels):
                value = raw[2 * number] << 8 | raw[2 * number + 1]
                block[number] = value - 65536 if value & 0x8000 else value
        return readings
