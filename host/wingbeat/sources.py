"""Reading what `wingbeat convert` converts: programs and trained models in files.

What a file holds is told by its first bytes; its extension decides only where they do not.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .convert import read_model
from .errors import FormatError, ModelError, UsageError, WingbeatError
from .forest.emlearn import from_emlearn_csv
from .forest.model import Forest
from .net.model import Graph
from .net.perceptron import Perceptron, is_perceptron
from .net.perceptron import from_sklearn as read_perceptron
from .program import Program
from .recordings import optional_module

KINDS = (
    "a Wingbeat program (.wbp), a net (.tflite), a scikit-learn model saved with skops (.skops) or"
    " with pickle or joblib (.pkl, .joblib), or the CSV of an emlearn model (.csv)"
)
PICKLES = (".pkl", ".pickle", ".joblib")

_LOSSES = (
    "AbsoluteError",
    "ExponentialLoss",
    "HalfBinomialLoss",
    "HalfGammaLoss",
    "HalfMultinomialLoss",
    "HalfPoissonLoss",
    "HalfSquaredError",
    "HuberLoss",
    "PinballLoss",
)
_LINKS = ("HalfLogitLink", "IdentityLink", "Interval", "LogLink", "LogitLink", "MultinomialLogit")

SAFE_TYPES = frozenset(
    [
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        *(f"sklearn._loss.loss.{name}" for name in _LOSSES),
        *(f"_loss.Cy{name}" for name in _LOSSES),
        *(f"sklearn._loss.link.{name}" for name in _LINKS),
    ]
)
"""Types that skops, depending on its version, leaves to its user to trust.

Found by saving every supported estimator with each of its losses (skops 0.10 with scikit-learn
1.5, skops 0.16 with scikit-learn 1.9). All are scikit-learn's own and hold numbers and arrays:
making one runs nothing from the file. But scikit-learn follows the nodes of a `Tree` without
checking them; `_check_trees` does that.
"""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_EMLEARN_RECORDS = ("f", "c", "lb", "l", "r", "n")
_SAVE = "skops.io.dump(model, 'model.skops')"


def load_source(
    path: Path | str, *, trust_pickle: bool = False
) -> Program | Forest | Perceptron | Graph:
    """Read a program, or a trained model, from a file.

    Parameters
    ----------
    path : Path or str
    trust_pickle : bool
        Whether to load a pickle or joblib file. That runs whatever code the file holds.

    Returns
    -------
    Program, Forest, Perceptron or Graph
        A `.wbp` gives the program, a `.tflite` the graph of the net; any other source what
        `wingbeat.convert` takes.

    Raises
    ------
    FormatError
        The file is damaged, cut short, or of no known kind.
    ModelError
        It holds something that cannot be converted, comes from another version of its library,
        or asks for types that cannot be trusted.
    UsageError
        It is a folder, or a pickle without `trust_pickle`.
    DataError
        The package that reads it is not installed.
    OSError
        It cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: expected a file with {KINDS}")
    data = path.read_bytes()
    kind = _kind_of(path, data)
    if kind == "program":
        return _read_program(path)
    if kind == "net":
        return _read_net(path, data)
    if kind == "emlearn":
        return _read_emlearn(path, data)
    if kind == "pickle" and not trust_pickle:
        raise UsageError(
            f"{path} is a pickle: loading one runs any code that is in it. If it is your own, add"
            f" --trust-pickle (from Python: trust_pickle=True). Better: save the model with {_SAVE}"
            " and convert that"
        )
    model = _watched(path, _load_skops if kind == "skops" else _load_pickle, data)
    return _read(path, model)


def _kind_of(path: Path, data: bytes) -> str:
    suffix = path.suffix.lower()
    if not data:
        raise FormatError(f"{path} is empty: expected {KINDS}")
    if data.startswith(_ZIP):
        return _kind_of_zip(path, data)
    if data.startswith(b"M\x06"):
        raise FormatError(
            f"{path} is an assembled module already: expected what it was made from, {KINDS}"
        )
    if suffix == ".tflite" or data[4:8] == b"TFL3":
        return "net"
    if suffix in PICKLES or (data[0] == 0x80 and 2 <= int.from_bytes(data[1:2], "little") <= 5):
        return "pickle"
    if suffix == ".csv" or _first_field(data) in _EMLEARN_RECORDS:
        return "emlearn"
    if suffix in (".wbp", ".skops"):
        raise FormatError(
            f"{path} does not start as a {suffix} file does: it is damaged or something else;"
            " save it or copy it again"
        )
    raise FormatError(f"{path} is not a model that Wingbeat knows: expected {KINDS}")


def _kind_of_zip(path: Path, data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FormatError(
            f"{path} is damaged or cut short ({error}): save it or copy it again"
        ) from error
    if "schema.json" in names:
        return "skops"
    if "program.bin" in names or path.suffix.lower() == ".wbp":
        return "program"
    if any(name.endswith(".npy") for name in names):
        raise FormatError(
            f"{path} holds arrays, not a model: train on it with 'wingbeat train', then convert"
        )
    raise FormatError(
        f"{path} is a zip file, but not a model that Wingbeat knows: expected {KINDS}"
    )


def _first_field(data: bytes) -> str:
    line = data[:256].lstrip().partition(b"\n")[0]
    return line.partition(b",")[0].decode("latin-1")


def _read_program(path: Path) -> Program:
    try:
        return Program.load(path)
    except FormatError as error:
        if str(path) in str(error):
            raise
        raise FormatError(f"{path}: {error}") from error


def _read_net(path: Path, data: bytes) -> Graph:
    from .net.tflite import read_tflite

    try:
        return read_tflite(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _read_emlearn(path: Path, data: bytes) -> Forest:
    try:
        return from_emlearn_csv(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text ({error}): save it again from emlearn") from error
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error
    except FormatError as error:
        raise FormatError(
            f"{path}: {error}. To learn from a table of data, use 'wingbeat train'"
        ) from error


def _load_skops(path: Path, data: bytes) -> Any:
    skops = optional_module("skops.io", "reading a .skops file", "skops scikit-learn")
    unknown = sorted(set(skops.get_untrusted_types(data=data)) - SAFE_TYPES)
    if unknown:
        raise ModelError(
            f"{path} asks for types that a model of scikit-learn does not need:"
            f" {', '.join(unknown)}. Loading those may run code. Save the plain estimator, without"
            f" own classes or functions in it: {_SAVE}"
        )
    model = skops.loads(data, trusted=sorted(SAFE_TYPES))
    _check_trees(path, model)
    return model


def _load_pickle(path: Path, data: bytes) -> Any:
    joblib = optional_module("joblib", "reading a pickle or joblib file", "scikit-learn")
    return joblib.load(io.BytesIO(data))


def _watched(path: Path, load: Callable[[Path, bytes], Any], data: bytes) -> Any:
    """Load; turn what the readers raise, and scikit-learn's warning about versions, into errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = load(path, data)
        except WingbeatError:
            raise
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{path} needs the module {error.name}, which is not here: install it, or convert"
                " with the versions of the libraries that the model was saved with"
            ) from error
        except Exception as error:  # The readers raise whatever the file makes them stumble over.
            raise FormatError(
                f"{path} cannot be loaded ({type(error).__name__}: {error}). It is damaged, or was"
                f" saved by another version of its library{_here()}: save the model again with"
                " this one"
            ) from error
    for warning in caught:
        _check_version(path, warning.message)
    return model


def _here() -> str:
    try:
        import sklearn
    except ImportError:
        return ""
    return f" (here: scikit-learn {sklearn.__version__})"


def _check_version(path: Path, message: Warning | str) -> None:
    saved = getattr(message, "original_sklearn_version", None)
    here = getattr(message, "current_sklearn_version", None)
    if saved is None or here is None:
        return
    if str(saved).split(".")[:2] != str(here).split(".")[:2]:
        raise ModelError(
            f"{path} was saved by scikit-learn {saved}, here is {here}, which may read it wrong:"
            f" pip install scikit-learn=={saved}, or train and save the model again"
        )


def _check_trees(path: Path, model: Any) -> None:
    """Refuse trees with children or features that are not there.

    scikit-learn's own `predict`, which reading a model calls, would follow them out of memory.
    """
    n_features = getattr(model, "n_features_in_", 0)
    for member in [model, *np.ravel(np.asarray(getattr(model, "estimators_", []), object))]:
        tree = getattr(member, "tree_", None)
        if tree is None:
            continue
        n = tree.node_count
        inner = np.flatnonzero(tree.children_left != -1)
        children = np.concatenate([tree.children_left[inner], tree.children_right[inner]])
        parents = np.concatenate([inner, inner])
        feature = tree.feature[inner]
        if not (
            n > 0
            and np.all((children > parents) & (children < n))
            and np.all((feature >= 0) & (feature < min(n_features, tree.n_features)))
        ):
            raise FormatError(
                f"{path} is damaged: a tree refers to a node or a feature that it does not have;"
                " save the model again"
            )


def _read(path: Path, model: Any) -> Forest | Perceptron:
    try:
        return read_perceptron(model) if is_perceptron(model) else read_model(model)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: this {type(model).__name__} lacks what scikit-learn gives it ({error}): it is"
            " damaged or was saved by another version; train and save it again"
        ) from error
