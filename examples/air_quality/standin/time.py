# Time that passes at once.
def sleep(seconds):
    pass


sleep_ms = sleep
