# Which digit is spoken, from a microphone. Put main.py, microphone.py and spoken_digits.mpy on the
# board.
from array import array

from microphone import Microphone
from spoken_digits import Model

RATE = 8000

model = Model()
length = model.info["input"][1][0]
block = array("h", bytes(2 * length))
microphone = Microphone(RATE, length)
taken = 0
last = None

while True:
    microphone.read_into(block)
    taken += length
    heard = model.push(block)
    if heard is not None and heard != last:
        if model.labels[heard] != "other":
            print(f"{taken / RATE:6.2f} s  {model.labels[heard]}")
        last = heard
