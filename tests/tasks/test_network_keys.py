"""A network's keys that cannot be meant are refused at their place, a misspelt name with the nearest one."""

import re

import pytest

from infra.errors import SpecError
from tasks.project import parse_spec
from tests.tasks.named_networks import NETWORKS, PICTURED
from tests.tasks.test_project import Where, change, write

SENSE = [
    (("candidates", "gru", "network", "architecture", "name"), "gruu", "candidates.gru.network.architecture.name", r"one of .*; received the text 'gruu'\. Did you mean 'gru'\?"),
    (("candidates", "gru", "network", "loss"), "focl", "candidates.gru.network.loss", r"a section whose `name` is one of .*'focl'\. Did you mean 'focal'\?"),
    (("candidates", "gru", "network", "loss"), "focal", "candidates.gru.network.loss", r"received the text 'focal'\. Write `loss: \{name: focal\}`\."),
    (("candidates", "gru", "network", "optimizer"), "adamw", "candidates.gru.network.optimizer", r"Write `optimizer: \{name: adamw\}`\."),
    (("candidates", "gru", "network", "schedule"), {"end": 0.1}, "candidates.gru.network.schedule", r"whose `name` is one of .*; received the keys end"),
    (("candidates", "gru", "network", "architecture", "heads"), 2, "candidates.gru.network.architecture.heads", r"no such key\. Allowed: name, .*bidirectional"),
    (("candidates", "transformer", "network", "architecture", "heads"), 3, "candidates.transformer.network.architecture", "heads that divide embedding = 4, received 3"),
    (("candidates", "cnn2d", "network", "architecture", "filters"), [2, 2, 2], "candidates.cnn2d.network.architecture", "below 8 by 8 pixels"),
    (("candidates", "gru", "network", "batch_size"), "atuo", "candidates.gru.network.batch_size", r"received the text 'atuo'\. Did you mean 'auto'\?"),
    (("candidates", "gru", "params"), {"units": 2}, "candidates.gru", "those of an architecture stand beside its name"),
    (("candidates", "gru", "network", "validation_share"), 0, "candidates.gru.network", "early_stopping needs rows that watch"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "path", "said"), SENSE, ids=[f"{s[2]}={s[1]}"[11:60] for s in SENSE])
def test_what_cannot_be_meant_is_refused_at_its_place(where: Where, value: object, path: str, said: str) -> None:
    with pytest.raises(SpecError, match=rf"line \d+, {re.escape(path)}: .*{said}"):
        parse_spec(write(change(NETWORKS, where, value)), NETWORKS["name"])


BORROWED = ("candidates", "borrowed", "network", "architecture")
PAIRS = {"architecture": {"name": "cnn2d", "augment": {"mixup": 1}}, "loss": {"name": "pairwise"}}
OF_PICTURES = [
    ((*BORROWED, "name"), "efficientnet_lite", "candidates.borrowed.network.architecture.name", r"Did you mean 'efficientnet_lite0'\?"),
    ((*BORROWED, "weights", "unfreeze_after"), 3, "candidates.borrowed.network", "unfreeze_after: expected fewer than the 3 epochs"),
    ((*BORROWED, "weights", "unfreeze_after"), None, "candidates.borrowed.network.architecture.weights", "give unfreeze_after"),
    ((*BORROWED, "weights", "unfreeze_blocks"), 17, "candidates.borrowed.network.architecture", "at most the 16 that there are"),
    ((*BORROWED, "weights", "file"), "../net.pth", "candidates.borrowed.network.architecture.weights.file", "a path inside a folder"),
    (("candidates", "borrowed", "network"), PAIRS, "candidates.borrowed.network", "augment.mixup mixes classes, and pairwise ranks rows"),
    ((*BORROWED, "augment", "mixup"), 5, "candidates.borrowed.network.architecture.augment.mixup", "a number from 0 to 4; received 5"),
    ((*BORROWED, "size"), 16, "candidates.borrowed.network.architecture.size", "at least 32"),
    (("columns",), {"x": {"type": "number"}, "sold": {"type": "boolean"}}, "the file", "efficientnet_lite0 reads a column of type image"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "value", "path", "said"),
    OF_PICTURES,
    ids=[f"{where[-1]}={value}"[:40] for where, value, _, _ in OF_PICTURES],
)
def test_what_cannot_be_meant_of_borrowed_pictures_is_refused_at_its_place(
    where: Where, value: object, path: str, said: str
) -> None:
    with pytest.raises(SpecError, match=rf"line \d+, {re.escape(path)}: .*{said}"):
        parse_spec(write(change(PICTURED, where, value)), PICTURED["name"])
