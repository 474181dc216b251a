"""A network's keys that cannot be meant are refused at their place, a misspelt name with the nearest one."""

import re

import pytest

from infra.errors import SpecError
from tasks.project import parse_spec
from tests.tasks.named_networks import NETWORKS
from tests.tasks.test_project import Where, change, write

SENSE = [
    (("candidates", "gru", "network", "architecture", "name"), "gruu", "candidates.gru.network.architecture.name", r"one of .*; received the text 'gruu'\. Did you mean 'gru'\?"),
    (("candidates", "gru", "network", "loss"), "focl", "candidates.gru.network.loss", r"a section whose `name` is one of .*'focl'\. Did you mean 'focal'\?"),
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
