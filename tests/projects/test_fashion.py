"""The project of pictures: the published files, read as they are, and nothing else in their place."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.errors import SourceError
from tasks.contracts.columns import ImageSize
from tasks.images import decode_images
from tasks.project import LoadedProject, load_project

ROOT = Path(__file__).parents[2]
DEBIAN = Path("/usr/share/datasets/fashion-mnist")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("fashion"),
    pytest.mark.skipif(
        not DEBIAN.is_dir() and not os.environ.get("CI"), reason="needs the Debian package dataset-fashion-mnist"
    ),
]


@pytest.fixture(scope="module")
def project() -> LoadedProject:
    return load_project(ROOT / "projects", "fashion")


@pytest.fixture(scope="module")
def rows(project: LoadedProject) -> pd.DataFrame:
    frame: pd.DataFrame = project.load("data:read")()
    return frame


def test_all_pictures_are_there_and_the_authors_test_pictures_are_the_test_rows(
    project: LoadedProject, rows: pd.DataFrame
) -> None:
    assert list(rows.columns) == list(project.spec.columns)
    assert rows["garment"].value_counts().to_dict() == dict.fromkeys(
        project.spec.columns["garment"].allowed or [], 7_000
    )
    assert round(len(rows) * project.spec.split.test_share) == 10_000
    assert rows["position"].is_monotonic_increasing


def test_a_picture_is_the_published_one_pixel_by_pixel(rows: pd.DataFrame) -> None:
    [last], _ = decode_images([rows["picture"].iloc[-1]], ImageSize(height=28, width=28, channels=1))
    published = gzip.decompress((DEBIAN / "t10k-images-idx3-ubyte.gz").read_bytes())[-28 * 28 :]
    assert last.tobytes() == published
    assert np.unique(last).size > 10


def test_other_files_in_their_place_are_refused(
    project: LoadedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = project.load("data:read").__globals__
    copy = tmp_path / "datasets" / "fashion-mnist"
    shutil.copytree(DEBIAN, copy)
    (copy / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(10_008)))
    monkeypatch.setitem(module, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(SourceError, match=r"t10k-labels.*expected the content 0402a96d92fd"):
        project.load("data:read")()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "empty"))
    with pytest.raises(SourceError, match="they are in neither") as caught:
        project.load("data:read")()
    assert "apt-get install dataset-fashion-mnist" in str(caught.value.remedy)
