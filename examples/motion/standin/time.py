# Time that passes at once.
now = 0  # ms


def sleep_ms(duration):
    global now
    now += duration
