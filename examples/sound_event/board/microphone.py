# A digital microphone on I2S, such as an INMP441 (24 bits in frames of 32), as int16 samples.
# SCK on GP16, WS on GP17, SD on GP18, L/R on ground.
import micropython
from machine import I2S, Pin

_DROPPED = 12  # of the lowest bits: 16 for all of the range, fewer for faint sounds


@micropython.viper
def _narrow(wide: ptr16, narrow: ptr16, count: int, dropped: int):  # noqa: F821
    for number in range(count):
        value = wide[2 * number + 1]
        if value > 32767:
            value -= 65536
        value = value << 16 - dropped | wide[2 * number] >> dropped
        if value > 32767:
            value = 32767
        elif value < -32768:
            value = -32768
        narrow[number] = value


class Microphone:
    def __init__(self, rate, length):
        """Take samples in blocks of `length`."""
        self.length = length
        self.wide = bytearray(4 * length)
        self.i2s = I2S(
            0,
            sck=Pin(16),
            ws=Pin(17),
            sd=Pin(18),
            mode=I2S.RX,
            bits=32,
            format=I2S.MONO,
            rate=rate,
            ibuf=16000,  # bytes: half a second at 8000 samples a second
        )

    def read_into(self, block):
        """Wait for the next samples, and put them into an array("h")."""
        self.i2s.readinto(self.wide)
        _narrow(self.wide, block, self.length, _DROPPED)
