# Carbon monoxide, once an hour, from five gas sensors and an SHT31. Put main.py and
# air_quality.mpy on the board.
#
# Gas sensors: the outputs of a CD4051 go to GP26, its select lines A, B, C are GP10, 11, 12.
# SHT31 (temperature, humidity): SDA on GP4, SCL on GP5.
import math
import time
from array import array

from air_quality import Model
from machine import ADC, I2C, Pin

ROUNDS = 60  # an hour: one a minute
SHT31 = 0x44

model = Model()
select = [Pin(number, Pin.OUT) for number in (10, 11, 12)]
gas = ADC(26)
i2c = I2C(0, sda=Pin(4), scl=Pin(5))
hour = array("h", bytes(2 * 8))


def read_gas(number):
    """The ADC's 12 bits of one sensor."""
    for bit, pin in enumerate(select):
        pin.value(number >> bit & 1)
    return gas.read_u16() >> 4


def read_climate():
    """Degrees Celsius, and percent of relative humidity."""
    i2c.writeto(SHT31, b"\x24\x00")
    time.sleep_ms(20)
    data = i2c.readfrom(SHT31, 6)
    return (
        -45 + 175 * (data[0] << 8 | data[1]) / 65535,
        100 * (data[3] << 8 | data[4]) / 65535,
    )


def vapour(temperature, humidity):
    """Pressure of water vapour in 0.1 Pa."""
    return round(humidity * 61.12 * math.exp(17.62 * temperature / (243.12 + temperature)))


while True:
    sums = [0] * 7
    for _ in range(ROUNDS):
        for number in range(5):
            sums[number] += read_gas(number)
        temperature, humidity = read_climate()
        sums[5] += temperature
        sums[6] += humidity
        time.sleep(60)
    temperature, humidity = sums[5] / ROUNDS, sums[6] / ROUNDS
    for number in range(5):
        hour[number] = round(sums[number] / ROUNDS)
    hour[5] = round(10 * temperature)
    hour[6] = round(10 * humidity)
    hour[7] = vapour(hour[5] / 10, hour[6] / 10)
    co = model.push(hour)
    if co is not None:
        print("CO %.2f mg/m3" % (co * model.scale))
