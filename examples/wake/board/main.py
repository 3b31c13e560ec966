# Listens cheaply, and runs the costly model only while there is something to hear. Put main.py,
# microphone.py (of sound_event), level.mpy and spoken_digits.mpy on the board.
from array import array

import level
import spoken_digits
from microphone import Microphone

RATE = 8000
LENGTH = 160  # samples of a block: 20 ms
BEFORE = 30  # blocks from before the sound that the costly model gets too
AFTER = 50  # blocks that it gets after the last loud one: a little more than its window
LOUDER = 4  # times the level of the background: loud

cheap = level.Model()
costly = spoken_digits.Model()
microphone = Microphone(RATE, LENGTH)
ring = [array("h", bytes(2 * LENGTH)) for _ in range(BEFORE + 1)]
views = [memoryview(block) for block in ring]
background = None  # in 1/64 of a step
taken = pushed = awake = 0
last = None


def listen(block):
    """The costly model hears one block."""
    global pushed, last
    heard = costly.push(block)
    pushed += 1
    if heard is not None and heard != last:
        if costly.labels[heard] != "other":
            print(f"{taken * LENGTH / RATE:6.2f} s  {costly.labels[heard]}")
        last = heard


while True:
    now = taken % len(ring)
    microphone.read_into(ring[now])
    taken += 1
    loudness = cheap.push(views[now]) << 6
    if background is None:
        background = loudness
    if loudness > LOUDER * background:
        if not awake:
            for back in range(min(BEFORE, taken - 1), 0, -1):
                listen(views[now - back])  # a negative index is from the end of the ring
        awake = AFTER
    # Quickly while it is quiet; slowly else, so that a fan that starts is background in a while.
    background += (loudness - background) >> (9 if awake else 5)
    if awake:
        listen(views[now])
        awake -= 1
        if not awake:
            costly.reset()
            last = None
            print(f"{taken * LENGTH / RATE:6.2f} s  asleep; awake for {pushed} of {taken} blocks")
