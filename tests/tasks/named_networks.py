"""Networks by name and what they may be trained with: every key once."""

from typing import Any

HIDDEN: dict[str, Any] = {"units": [4], "activation": "tanh", "normalise": "layer"}
SHARED: dict[str, Any] = {"dropout": 0.1, "l1": 0.01, "l2": 0.01}
WORDS: dict[str, Any] = {**SHARED, "embedding": 4, "word_dropout": 0.1}
RECURRENT: dict[str, Any] = {"units": 4, "layers": 2, "bidirectional": True}
WEIGHTED: dict[str, Any] = {"label_smoothing": 0.1, "class_weights": {"true": 2}}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "dense": {**SHARED, **HIDDEN},
    "cnn2d": {
        **SHARED, **HIDDEN, "height": 4, "width": 2, "channels": 1, "filters": [3], "kernel": 2,
        "augment": {"flip": "both", "shift": 0.1, "rotate": 10, "zoom": 0.1, "crop": 0.1, "mixup": 0.2},
    },
    "average_embedding": {**WORDS, **HIDDEN},
    "cnn1d": {**WORDS, "filters": 3, "widths": [2, 3]},
    "simple_rnn": {**WORDS, **RECURRENT},
    "lstm": {**WORDS, **RECURRENT},
    "gru": {**WORDS, **RECURRENT},
    "transformer": {**WORDS, "heads": 2, "blocks": 2, "units": 4},
}  # fmt: skip
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"warmup_epochs": 1},
    "cosine": {"warmup_epochs": 1, "end": 0.1},
    "step": {"warmup_epochs": 1, "every": 2, "factor": 0.5},
    "plateau": {"factor": 0.5, "patience": 2, "min_delta": 0.01},
    "one_cycle": {"rise": 0.4, "start": 0.1, "end": 0.01},
}
LOSSES: dict[str, dict[str, Any]] = {
    "cross_entropy": WEIGHTED,
    "focal": {**WEIGHTED, "gamma": 1.5},
    "pairwise": {},
    "mse": {},
    "mae": {},
    "huber": {"delta": 2.0},
}
OPTIMIZER: dict[str, Any] = {
    "name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01, "clip_norm": 1.0, "clip_value": None,
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "checkpoint_steps": 500, "validation_share": 0.2, "early_stopping": {"metric": "accuracy", "patience": 2, "min_delta": 0.01},
}  # fmt: skip
EMBEDDINGS: dict[str, Any] = {
    "package": "vectors", "vectors": "data/v.npy", "digest": "a" * 64, "words": "w.txt", "words_digest": "b" * 64,
    "source": "GloVe", "licence": "PDDL-1.0", "trainable": False, "unfreeze_after": 1,
}  # fmt: skip
PRETRAINED: dict[str, Any] = {
    "package": "seen", "file": "models/net.pth", "digest": "c" * 64, "source": "ImageNet", "licence": "Apache-2.0",
    "unfreeze_after": 2, "unfreeze_blocks": 3, "unfreeze_rate": 0.05,
}  # fmt: skip


def named(table: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return what stands in project.yaml for a name with its parameters."""
    return {"name": name, **table[name]}


def _candidates() -> dict[str, dict[str, Any]]:
    found = {}
    for at, name in enumerate(ARCHITECTURES):
        network = {"architecture": named(ARCHITECTURES, name), "epochs": 3, **TRAINING}
        if "embedding" in ARCHITECTURES[name]:
            network["architecture"]["embeddings"] = EMBEDDINGS
        if at == 0:
            network["optimizer"] = OPTIMIZER
        network["schedule"] = named(SCHEDULES, [*SCHEDULES][at % len(SCHEDULES)])
        network["loss"] = named(LOSSES, [*LOSSES][at % len(LOSSES)])
        encode = "tokens" if "embedding" in ARCHITECTURES[name] else "tfidf"
        found[name] = {"network": network, "prepare": {"text": {"encode": encode}}}
    return found


NETWORKS: dict[str, Any] = {
    "name": "named",
    "source": {"sql": {"query": "SELECT 1", "url_env": "URL"}},
    "columns": {"words": {"type": "text"}, "sold": {"type": "boolean"}},
    "target": "sold",
    "candidates": _candidates(),
}
"""A project.yaml with every key of a network by name."""

PICTURED: dict[str, Any] = {
    "name": "pictured",
    "source": {"sql": {"query": "SELECT 1", "url_env": "URL"}},
    "columns": {
        "photo": {"type": "image", "size": {"height": 32, "width": 24, "channels": 3}},
        "sold": {"type": "boolean"},
    },
    "target": "sold",
    "candidates": {
        "borrowed": {
            "network": {
                "architecture": {
                    "name": "efficientnet_lite0", **SHARED, **HIDDEN, "weights": PRETRAINED, "size": 64,
                    "augment": {"flip": "horizontal"},
                },
                "epochs": 3,
            }
        }
    },
}  # fmt: skip
