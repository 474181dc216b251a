import gzip
import io

import pandas as pd
import pytest

from infra.errors import SourceError, SourceUnavailable
from infra.sources.csv_files import read_csv
from infra.sources.parquet_files import read_parquet

pytestmark = pytest.mark.servers


@pytest.fixture
def bucket(s3_server, monkeypatch):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    name = s3_server.make_bucket()
    parquet = io.BytesIO()
    pd.DataFrame({"x": [7, 8]}).to_parquet(parquet)
    bodies = {
        "in/b.csv": b"x\nb\n",
        "in/a.csv": b"x\na\n",
        "in/deep/c.csv": b"x\nc\n",
        "in/z.csv.gz": gzip.compress(b"x\nz\n"),
        "p/1.parquet": parquet.getvalue(),
        "odd/a#b c.csv": b"x\nodd\n",
    }
    for key, body in bodies.items():
        s3_server.client().put_object(Bucket=name, Key=key, Body=body)
    return name


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("in/*.csv", ["a", "b"]),
        ("in/**.csv", ["a", "b", "c"]),
        ("in/?.csv", ["a", "b"]),
        ("in/z.csv.gz", ["z"]),
        ("odd/a#b c.csv", ["odd"]),
        ("*/a.csv", ["a"]),
    ],
)
def test_csv_objects_are_read_in_sorted_order(key, values, bucket, tmp_path):
    assert read_csv(f"s3://{bucket}/{key}", tmp_path)["x"].tolist() == values


def test_parquet_objects_are_read(bucket, tmp_path):
    assert read_parquet([f"s3://{bucket}/p/*.parquet"], tmp_path)["x"].tolist() == [7, 8]


@pytest.mark.parametrize("key", ["in/none.csv", "in/none*.csv"])
def test_an_object_that_is_not_there_is_named(key, bucket, tmp_path):
    with pytest.raises(SourceError, match=rf"s3://{bucket}/in/none"):
        read_csv(f"s3://{bucket}/{key}", tmp_path)


def test_a_bucket_that_is_not_there_is_named(bucket, tmp_path):
    with pytest.raises(SourceError, match="no-such-bucket-here"):
        read_csv("s3://no-such-bucket-here/x.csv", tmp_path)


@pytest.mark.parametrize("address", ["s3://", "s3://bucket", "s3:///key"])
def test_an_address_without_bucket_or_key_is_refused(address, tmp_path):
    with pytest.raises(SourceError, match="Expected s3://bucket/key"):
        read_csv(address, tmp_path)


@pytest.mark.parametrize("key", ["in/a.csv", "in/*.csv"])
def test_wrong_credentials_are_said_and_the_secret_is_not(key, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    with pytest.raises(SourceError, match="refuses these credentials") as caught:
        read_csv(f"s3://{bucket}/{key}", tmp_path)
    assert not isinstance(caught.value, SourceUnavailable)
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_that_does_not_answer_may_be_asked_again(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(SourceUnavailable, match="does not answer"):
        read_csv("s3://bucket/x.csv", tmp_path)
