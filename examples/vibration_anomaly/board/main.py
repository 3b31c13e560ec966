# Whether a machine vibrates as it always did, from an MPU-6050 that is screwed to it, its z axis
# across the shaft: SDA on GP4, SCL on GP5. Put main.py, mpu6050.py (of motion) and vibration.mpy on
# the board.
import time
from array import array

from machine import I2C, Pin
from mpu6050 import MPU6050
from vibration import Model

RATE = 1000

model = Model()
sensor = MPU6050(I2C(0, sda=Pin(4), scl=Pin(5), freq=400_000), RATE, g=2, gyroscope=False)
block = array("h", bytes(2 * 3 * 170))
across = array("h", bytes(2 * 170))
view = memoryview(across)
taken = 0
last = None

while True:
    readings = sensor.read_into(block)
    if readings is None:  # some are lost: what came before does not go on here
        model.reset()
        continue
    for number in range(readings):
        across[number] = block[3 * number + 2]
    taken += readings
    state = model.push(view[:readings])
    if state is not None and state != last:
        print(f"{taken / RATE:6.2f} s  {model.labels[state]}")
        last = state
    time.sleep_ms(50)
