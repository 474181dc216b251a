"""Which Keras classes a stored network may be made of; looked at in its config, before anything is built."""

from typing import Any

from infra.errors import UnsafeArtifact, name_values

MODULES = frozenset(
    {
        "keras",
        "keras.layers",
        "keras.models",
        "keras.initializers",
        "keras.regularizers",
        "keras.constraints",
        "keras.src.models.functional",
        "keras.src.models.sequential",
    }
)

CLASSES = frozenset(
    {
        # networks
        "Functional", "Sequential", "InputLayer", "DTypePolicy",
        # layers: no Lambda, no TextVectorization or lookup (files), no wrapper of another library
        "Activation", "Add", "AdditiveAttention", "Attention", "Average", "AveragePooling1D", "AveragePooling2D",
        "BatchNormalization", "Bidirectional", "Concatenate", "Conv1D", "Conv2D", "Dense", "DepthwiseConv2D",
        "Dot", "Dropout", "ELU", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianNoise",
        "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "LSTM",
        "LSTMCell", "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "Maximum",
        "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RandomContrast", "RandomFlip",
        "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
        "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
        "SpatialDropout2D", "Subtract", "TimeDistributed", "ZeroPadding1D", "ZeroPadding2D",
        # initializers, regularizers, constraints
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "L1", "L1L2", "L2",
        "LecunNormal", "LecunUniform", "MaxNorm", "NonNeg", "Ones", "Orthogonal", "OrthogonalInitializer",
        "RandomNormal", "RandomUniform", "TruncatedNormal", "UnitNorm", "VarianceScaling", "Zeros",
        # how a functional network names a tensor in its config
        "__keras_tensor__",
    }
)  # fmt: skip


def require_known_layers(config: Any) -> None:
    """Refuse a network's config that names anything beyond the list, at any depth.

    Raises
    ------
    UnsafeArtifact
        A class, module or registered name that keepfit does not build from a file.
    """
    found = sorted({f"{key}={value!r}" for key, value in _named(config) if not _is_known(key, value)})
    if found:
        raise UnsafeArtifact(
            f"The network names what keepfit never builds from a file: {name_values(found)}.",
            remedy="Use layers on the list in tasks/models/layers.py; Lambda and own classes are not among them.",
        )


def _named(node: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    pending = [node]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            found += [(key, here[key]) for key in ("module", "class_name", "registered_name") if key in here]
            pending += here.values()
        elif isinstance(here, list):
            pending += here
    return found


def _is_known(key: str, value: Any) -> bool:
    if not isinstance(value, str):
        return value is None and key in ("module", "registered_name")
    return value in (MODULES if key == "module" else CLASSES)
