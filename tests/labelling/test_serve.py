"""Addresses and ports of the labelling pages, and data that cannot be labelled."""

import socket
from pathlib import Path

import pytest

from peculiar.catalogs.catalog import Catalog
from peculiar.errors import DataError, UsageError
from peculiar.images.decode import encode_picture
from peculiar.labelling.database import Labels
from peculiar.labelling.web.serve import hub_advice, label, open_session
from peculiar.questions.question import Question
from pictures import draw_galaxy

here = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        (folder / f"{number}.png").write_bytes(encode_picture(draw_galaxy(32, 6, 16, 16, seed=number)))
    return folder


@here
def test_a_port_in_use_is_refused_and_another_advised(pictures: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127\.0\.0\.1, port {port} \(.*in use.*--port"):
            label(pictures, question="odd", port=port, browser=False)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, ""),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"},
            "--url https://HUB/user/ada/proxy/8222/ with the host of the hub",
        ),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_PUBLIC_URL": "https://h.org/user/ada/"},
            "--url https://h.org/user/ada/proxy/8222/",
        ),
    ],
)
def test_on_a_jupyterhub_the_address_of_the_proxy_is_advised(variables: dict[str, str], url: str) -> None:
    advice = hub_advice(variables, 8222)
    assert bool(advice) == bool(variables)
    assert url in advice


@here
def test_an_address_of_another_machine_is_refused(pictures: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        label(pictures, question="odd", host="192.0.2.1", port=0, browser=False)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_number_that_is_no_port_is_refused(pictures: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"to 65535; received {port}"):
        label(pictures, question="odd", port=port, browser=False)


def test_a_catalogue_without_pictures_asks_where_they_are(drawn_catalog: Path, tmp_path: Path) -> None:
    advice = r"catalogue without pictures; name them \(--pictures DATA\)"
    for catalog in (drawn_catalog, Catalog(drawn_catalog)):
        with pytest.raises(UsageError, match=advice):
            label(catalog, db=tmp_path / "labels.db", browser=False)


def test_other_faults_of_the_data_are_told_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        label(tmp_path / "empty", browser=False)


def test_pictures_of_other_galaxies_are_refused(drawn_catalog: Path, pictures: Path, tmp_path: Path) -> None:
    with (
        Labels(tmp_path / "labels.db") as labels,
        pytest.raises(UsageError, match=r"none of the galaxies of .*sim-000"),
    ):
        open_session(drawn_catalog, labels, pictures=pictures, question="odd")


def test_only_the_galaxies_of_a_table_are_asked_about(pictures: Path, tmp_path: Path) -> None:
    question = Question("ring", ("no", "yes"))
    with Labels(tmp_path / "labels.db") as labels:
        session = open_session(pictures, labels, question=question, only=["2.png", "0.png", "elsewhere.png"])
        asked = []
        while (task := session.next("Ada")) is not None:
            asked.append(task.id)
            session.answer("Ada", task.row, "ring", task.event, "answer", 1, None, task.chosen)
    assert sorted(asked) == ["0.png", "2.png"]


def test_a_table_without_any_of_the_galaxies_is_refused(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "only.csv").write_text("id,label\n77,\n")
    with pytest.raises(
        UsageError, match=r"none of the 1 galaxies to ask about, which are like '77'; its own are like '0"
    ):
        label(pictures, only=tmp_path / "only.csv", db=tmp_path / "labels.db", browser=False)
