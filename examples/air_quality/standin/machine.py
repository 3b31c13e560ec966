# Stands in for the sensors: plays hours of recorded readings, and ends the program after them.
# recording.bin has for each hour int16: five gas sensors, temperature and humidity in tenths, 0.
import struct

ROUNDS = 60

_file = open("recording.bin", "rb")  # noqa: SIM115
_values = ()
_pins = {}
_rounds = 0


def _next_round():
    global _values, _rounds
    if _rounds % ROUNDS == 0:
        data = _file.read(16)
        if not data:
            raise SystemExit
        _values = struct.unpack("<8h", data)
    _rounds += 1


class Pin:
    OUT = 1

    def __init__(self, number, mode=None):
        self.number = number

    def value(self, level):
        _pins[self.number] = level


class ADC:
    def __init__(self, number):
        pass

    def read_u16(self):
        number = _pins[10] | _pins[11] << 1 | _pins[12] << 2
        if number == 0:
            _next_round()
        return _values[number] << 4


class I2C:
    def __init__(self, number, sda, scl):
        pass

    def writeto(self, address, data):
        assert (address, data) == (0x44, b"\x24\x00")

    def readfrom(self, address, count):
        temperature = round((_values[5] / 10 + 45) / 175 * 65535)
        humidity = round(_values[6] / 1000 * 65535)
        return struct.pack(">HBHB", temperature, 0, humidity, 0)
