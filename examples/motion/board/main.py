# Which exercise is done, from an MPU-6050 on the wrist: SDA on GP4, SCL on GP5. Put main.py,
# mpu6050.py and exercises_stream.mpy on the board.
import time
from array import array

from exercises_stream import Model
from machine import I2C, Pin
from mpu6050 import MPU6050

RATE, CHANNELS = 50, 6

model = Model()
sensor = MPU6050(I2C(0, sda=Pin(4), scl=Pin(5), freq=400_000), RATE)
block = array("h", bytes(2 * CHANNELS * 64))
view = memoryview(block)
taken = 0
last = shown = None

while True:
    readings = sensor.read_into(block)
    if readings is None:  # some are lost: what came before does not go on here
        model.reset()
        last = None
        continue
    taken += readings
    result = model.push(view[: readings * CHANNELS])
    if result is not None:
        if result == last and result != shown:  # twice in a row
            print(f"{taken / RATE:6.2f} s  {model.labels[result]}")
            shown = result
        last = result
    time.sleep_ms(200)
