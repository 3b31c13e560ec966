"""What to use instead of an operator that has no counterpart here."""

from __future__ import annotations

_RECURRENT = (
    "recurrent layers are not supported: use Conv1D layers over the whole window, or window"
    " statistics in front of a dense net or a forest"
)
_CONSTANT = "compute it before training, or make it part of a layer's weights"
_TABLE = "use relu, relu6, leaky_relu, hard_swish, sigmoid or tanh"
_ATTENTION = "products of two activations are not supported: use Conv2D, Conv1D or Dense layers"
_CONTROL = "a net with branches decided while it runs is not supported: unroll it"
_STATE = "a net that keeps state is not supported: give it the whole window"

_ADVICE: dict[str, str] = {
    **dict.fromkeys(
        (
            "LSTM",
            "RNN",
            "SVDF",
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            "UNIDIRECTIONAL_SEQUENCE_RNN",
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            "BIDIRECTIONAL_SEQUENCE_RNN",
        ),
        _RECURRENT,
    ),
    "WHILE": f"it is a loop, most often that of an LSTM or GRU: {_RECURRENT}",
    **dict.fromkeys(("IF", "CALL", "CALL_ONCE"), _CONTROL),
    **dict.fromkeys(("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"), _STATE),
    **dict.fromkeys(("GELU", "PRELU", "EXP", "LOG"), _TABLE),
    **dict.fromkeys(("BATCH_MATMUL",), _ATTENTION),
    "RESIZE_BILINEAR": "use UpSampling2D(interpolation='nearest')",
    "L2_POOL_2D": "use AveragePooling2D or MaxPooling2D",
    "LOCAL_RESPONSE_NORMALIZATION": "use BatchNormalization, which costs nothing",
    "L2_NORMALIZATION": "normalize on the caller's side: run() gives the vector",
    "LOG_SOFTMAX": "use softmax: the largest stays the largest",
    "DIV": f"multiply by the inverse: {_CONSTANT}",
    "CONV_3D": "use Conv2D",
    "SUM": "use a mean (GlobalAveragePooling)",
    "CAST": "keep the whole net in int8: cast inputs before the net",
    "EMBEDDING_LOOKUP": "look the rows up before the net",
}

_ANYTHING = "leave it out, or do it before or after the net"


def instead_of(kind: str) -> str:
    """What to use instead of the operator `kind`, as a clause."""
    if kind.startswith("CUSTOM Signal"):
        return "cut the preprocessor off, and compute features with Wingbeat's signal operators"
    return _ADVICE.get(kind, _ANYTHING)


HOW_TO_FIX_THE_BATCH = (
    "Make the model anew with keras.Input(shape, batch_size=1), copy the weights with"
    " set_weights(), and convert that; or let wingbeat.convert_keras do it"
)

HOW_TO_QUANTIZE = """\
Quantize it when you make the .tflite file, with some 200 inputs of your training data in `rows`:

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None].astype("float32")] for row in rows)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    pathlib.Path("net.tflite").write_bytes(converter.convert())"""
