"""From a quantized neural network to a program.

`tflite` reads a file into the neutral graph of `model`, `simplify` folds and fuses, `lower` finds
the operators of a program, `convert` is the whole way.
"""
