"""FAULTS 14 and 15: what is put in place of a model is refused by its form, before anything in it runs."""

import importlib
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io

from infra.errors import IntegrityError, UnsafeArtifact
from tasks.models import archives
from tasks.models.archives import pack, unpack
from tasks.models.layers import require_known_layers
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.skops_files import TRUSTED
from tests.tasks.models.examples import CLASSICAL, no_functions, number_rows, numbers_spec

SPEC = numbers_spec({"tree": {"estimator": "sklearn.tree.DecisionTreeClassifier"}, "knn": CLASSICAL["knn"]})


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model"
    return path, save_model(fit_candidate("tree", SPEC, number_rows(), load=no_functions), path)


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def _zip(members, **changes):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = changes.get("compress", zipfile.ZIP_DEFLATED)
            archive.writestr(info, content)
    return buffer.getvalue()


def _replace(path, **members):
    """Rewrite a model file with some members changed or, where None, left out."""
    held = unpack(path.read_bytes())
    names = {name.replace(".", "_").replace("/", "_"): name for name in held}
    for key, content in members.items():
        name = names.get(key, key)
        if content is None:
            held.pop(name)
        else:
            held[name] = content
    path.write_bytes(pack(held))


def test_a_pickle_is_refused_and_never_run(tmp_path):
    canary = tmp_path / "canary"
    bait = pickle.dumps(Canary(canary))
    (tmp_path / "model").write_bytes(bait)
    with pytest.raises(UnsafeArtifact, match="received a pickle"):
        load_model(tmp_path / "model")
    assert not canary.exists()
    pickle.loads(bait)
    assert canary.exists(), "the bait was not live, so the refusal showed nothing"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), r"an HDF5 file \(\.h5\)"),
        (b"\x1f\x8b\x08" + bytes(100), "a gzip file"),
        (b"", "an empty file"),
        (b"PK\x03\x04" + bytes(100), "a whole zip archive"),
        (b"hello", "something else"),
    ],
    ids=["h5", "gzip", "empty", "torn zip", "text"],
)
def test_what_is_no_archive_is_refused(content, message, tmp_path):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(UnsafeArtifact, match=message):
        load_model(tmp_path / "model")


@pytest.mark.parametrize(
    "name",
    ["../escape.json", "/etc/escape.json", "a/../../escape.json", "a\\..\\escape.json", "C:/x.json", ".hidden.json",
     "new\nline.json", "a//b.json"],
)  # fmt: skip
def test_a_member_that_leaves_the_archive_is_refused(name, tmp_path):
    (tmp_path / "model").write_bytes(_zip([(name, b"{}")]))
    with pytest.raises(UnsafeArtifact, match="plain member names"):
        load_model(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize("name", ["model.pkl", "model.h5", "model.keras", "model.joblib", "run.py", "noending"])
def test_a_member_of_another_kind_is_refused(name, tmp_path):
    (tmp_path / "model").write_bytes(_zip([("manifest.json", b"{}"), (name, b"x")]))
    with pytest.raises(UnsafeArtifact, match="members of kind"):
        load_model(tmp_path / "model")


def test_a_zip_bomb_is_refused_from_its_directory(tmp_path, monkeypatch):
    bomb = _zip([("weights/00000.npy", bytes(archives.RATIO_FREE_BYTES + 1))])
    assert len(bomb) < 200_000
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("a member was unpacked"))
    (tmp_path / "model").write_bytes(bomb)
    with pytest.raises(UnsafeArtifact, match="a zip bomb"):
        load_model(tmp_path / "model")


def test_a_bomb_inside_the_inner_archive_is_refused(model_file):
    path, _ = model_file
    inner = _zip([("schema.json", b" " * (archives.RATIO_FREE_BYTES + 1))])
    _replace(path, pipeline_skops=inner)
    with pytest.raises(UnsafeArtifact, match="a zip bomb"):
        load_model(path)


def test_a_size_that_lies_never_unpacks_more_than_it_says(tmp_path):
    honest = _zip([("manifest.json", b" " * 1_000_000)])
    lying = honest.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    (tmp_path / "model").write_bytes(lying)
    with pytest.raises(UnsafeArtifact, match="a whole zip archive"):
        load_model(tmp_path / "model")


def test_too_many_members_and_a_name_twice_are_refused(tmp_path, monkeypatch):
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = _zip([("a.json", b"{}"), ("a.json", b"{}")])
    with pytest.raises(UnsafeArtifact, match="one name twice"):
        unpack(twice)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(UnsafeArtifact, match="at most 3 members, received 4"):
        unpack(_zip([(f"{at}.json", b"") for at in range(4)]))


def test_an_unusual_compression_is_refused():
    with pytest.raises(UnsafeArtifact, match="a plain or deflated member"):
        unpack(_zip([("a.json", b"{}")], compress=zipfile.ZIP_BZIP2))


def test_a_type_that_is_not_on_the_list_is_refused_and_never_built(model_file):
    path, _ = model_file
    members = unpack(path.read_bytes())
    inner = unpack(members["pipeline.skops"])
    schema = json.loads(inner["schema.json"])
    schema["content"]["content"]["steps"] = {
        "__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": None,
    }  # fmt: skip
    _replace(path, pipeline_skops=pack({**inner, "schema.json": json.dumps(schema).encode()}))
    with pytest.raises(UnsafeArtifact, match=r"subprocess\.Popen"):
        load_model(path)


def test_an_older_protocol_is_refused(model_file):
    path, _ = model_file
    inner = unpack(unpack(path.read_bytes())["pipeline.skops"])
    schema = json.loads(inner["schema.json"])
    _replace(path, pipeline_skops=pack({**inner, "schema.json": json.dumps({**schema, "protocol": 0}).encode()}))
    with pytest.raises(UnsafeArtifact, match="Expected skops protocol"):
        load_model(path)


def test_a_pickled_array_is_refused(model_file, tmp_path):
    path, _ = model_file
    canary = tmp_path / "canary"
    buffer = io.BytesIO()
    np.save(buffer, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    inner = unpack(unpack(path.read_bytes())["pipeline.skops"])
    first = next(name for name in inner if name.endswith(".npy"))
    _replace(path, pipeline_skops=pack({**inner, first: buffer.getvalue()}))
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_model(path)
    assert not canary.exists()


def test_a_swapped_or_changed_model_is_refused(model_file, tmp_path):
    content = model_file[1]
    other = save_model(fit_candidate("knn", SPEC, number_rows(), load=no_functions), tmp_path / "other")
    assert other != content
    with pytest.raises(IntegrityError, match=f"content {content[:12]}…, received {other[:12]}…"):
        load_model(tmp_path / "other", content)


def test_a_changed_class_is_another_model(model_file):
    path, content = model_file
    manifest = json.loads(unpack(path.read_bytes())["manifest.json"])
    _replace(path, manifest_json=json.dumps({**manifest, "classes": [1, 0]}).encode())
    with pytest.raises(IntegrityError, match="Expected the model with content"):
        load_model(path, content)


@pytest.mark.parametrize(
    ("members", "kind", "message"),
    [
        ({"manifest_json": None}, UnsafeArtifact, "no manifest of keepfit"),
        ({"manifest_json": b"not json"}, UnsafeArtifact, "no manifest of keepfit"),
        ({"manifest_json": b'{"format": "keepfit-model/9", "backend": "sklearn"}'}, UnsafeArtifact, "format keepfit"),
        ({"manifest_json": b'{"format": "keepfit-model/1", "backend": "torch"}'}, UnsafeArtifact, "torch"),
        ({"manifest_json": b'{"format": "keepfit-model/1", "backend": "sklearn"}'}, IntegrityError, "not whole"),
        ({"pipeline_skops": None}, IntegrityError, "not whole"),
    ],
    ids=["none", "no json", "another format", "another backend", "no columns", "no pipeline"],
)
def test_an_archive_without_its_parts_is_refused(members, kind, message, model_file):
    path, _ = model_file
    _replace(path, **members)
    with pytest.raises(kind, match=message):
        load_model(path)


def _network(*layers):
    return {"module": "keras", "class_name": "Sequential", "registered_name": None, "config": {"layers": list(layers)}}


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}}, "Lambda"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}, "TFSMLayer"),
        ({"module": "os", "class_name": "Dense", "config": {}}, "module='os'"),
        ({"module": "builtins", "class_name": "function", "config": "eval"}, "builtins"),
        ({"class_name": "__lambda__", "config": {"value": "x"}}, "__lambda__"),
        ({"module": "keras.layers", "class_name": "Dense", "registered_name": "mine>Dense"}, "mine>Dense"),
        ({"module": "keras.layers", "class_name": "Dense", "config": {"activation": {"class_name": "Evil"}}}, "Evil"),
        ({"module": "keras.layers", "class_name": ["Dense"]}, "class_name="),
        ({"module": "keras.layers", "class_name": None}, "class_name=None"),
    ],
    ids=["Lambda", "file", "module", "function", "lambda", "registered", "nested", "list", "none"],
)
def test_a_network_is_held_against_the_list_before_anything_is_built(node, found):
    with pytest.raises(UnsafeArtifact, match=found):
        require_known_layers(_network(_network(node)))


def test_a_stored_network_with_a_lambda_is_refused_without_starting_tensorflow(model_file, monkeypatch):
    path, _ = model_file
    manifest = json.loads(unpack(path.read_bytes())["manifest.json"])
    config = _network({"module": "keras.layers", "class_name": "Lambda", "config": {}})
    importlib.import_module(
        "tasks.models.keras_models"
    )  # imported later it would keep what follows for all later tests
    monkeypatch.setattr("tasks.models.tensorflow_runtime.start_keras", lambda *_: pytest.fail("TensorFlow was started"))
    _replace(
        path,
        manifest_json=json.dumps({**manifest, "backend": "keras", "threads": 1}).encode(),
        pipeline_skops=None,
        **{"network.json": json.dumps(config).encode()},
    )
    with pytest.raises(UnsafeArtifact, match="Lambda"):
        load_model(path)


def test_the_trusted_types_are_needed_and_named_in_full():
    default = set(skops.io.get_untrusted_types(data=skops.io.dumps(np.zeros(1))))
    assert default == set()
    assert len(set(TRUSTED)) == len(TRUSTED)
    assert not any(name.startswith(("builtins.", "os.", "subprocess.", "operator.", "functools.")) for name in TRUSTED)
