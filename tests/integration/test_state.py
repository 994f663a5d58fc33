"""`quorate state` and the page about keeping state, against a real master."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.credentials import load_credentials
from schedulers import Framework
from tests.clusters import Cluster, running_cluster

PAGE = Path(__file__).parents[2] / "docs" / "keeping-state.md"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 0, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def state(cluster: Cluster, *words: str) -> str:
    told = cluster.quorate("state", *words)
    assert (told.returncode, told.stderr) == (0, "")
    return told.stdout


def refused(cluster: Cluster, *words: str) -> str:
    told = cluster.quorate("state", *words)
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (1, "", 1)
    return told.stderr


def test_value_is_put_got_listed_and_deleted(cluster: Cluster) -> None:
    assert state(cluster, "put", "shop", "a/1", "apples", "--if-version", "0") == "1\n"
    assert state(cluster, "put", "shop", "b/1", "pears") == "2\n"
    assert state(cluster, "get", "shop", "a/1", "b/1") == "apples\npears\n"
    found = json.loads(state(cluster, "get", "shop", "a/1", "-o", "json"))
    assert found == {"key": "a/1", "value": "apples", "version": 1}
    assert state(cluster, "list", "shop", "a/") == "a/1\n"
    assert state(cluster, "delete", "shop", "a/1", "--if-version", "1") == ""
    assert state(cluster, "list", "shop") == "b/1\n"
    assert state(cluster, "remove", "shop") == ""
    assert state(cluster, "list", "shop") == ""


def test_refusals_are_one_line_that_names_the_thing(cluster: Cluster) -> None:
    state(cluster, "put", "other", "k", "v")
    assert "there is no key nothing in space other" in refused(cluster, "get", "other", "nothing")
    told = refused(cluster, "put", "other", "k", "w", "--if-version", "0")
    assert "CONFLICT: k has version" in told
    assert "there is no space 'none'" in refused(cluster, "remove", "none")
    principal = refused(cluster, "list", "other", "--principal", "operator")
    assert "may not act as framework" in principal


def test_example_of_the_page_works(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, notes = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for part in (code, notes):
        exec(compile(part, str(PAGE), "exec"), names)
    target = cluster.embedded.target
    secrets = load_credentials(target.credentials)
    framework = Framework("page", ",".join(target.masters), credentials=secrets)
    first = asyncio.run(names["main"](framework, "one"))
    assert asyncio.run(names["main"](framework, "two")) > first
    assert "['farewell']" in capsys.readouterr().out
    for _ in range(2):
        assert asyncio.run(names["note"](framework, b"one", b"two")) == [b"one", b"two"]
