"""The examples on the page about borrowed weights are candidates as they stand, and the packages hold what they say."""

import re
from pathlib import Path

import pytest
import yaml

from tasks.contracts.candidates import Candidate
from tasks.contracts.networks import Network
from tasks.models.networks.given_files import find_file

PAGE = Path(__file__).parents[3] / "docs" / "borrowing.md"
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]


@pytest.mark.parametrize("written", EXAMPLES, ids=["pictures", "words"])
def test_an_example_is_a_candidate_and_its_files_are_those_of_the_package(written: dict[str, object]) -> None:
    network = Candidate.model_validate(written).network
    assert isinstance(network, Network)
    if given := network.pretrained:
        assert find_file(given.package, given.file, Path(), given.digest, key="weights").suffix == ".pth"
    if words := network.embeddings:
        for inside, digest in ((words.vectors, words.digest), (words.words or "", words.words_digest or "")):
            assert find_file(words.package, inside, Path(), digest, key="embeddings").is_file()
    assert network.borrowed
