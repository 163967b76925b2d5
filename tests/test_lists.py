"""The operator's lists: used as they are now, checked at the start, and never quoted."""

import json
import os
import time
from dataclasses import replace

import pytest

from connectors import sources
from connectors.settings import ConnectorSettings
from connectors.sources import canonical
from schemas.events import SealedReport
from streams.app import Node
from streams.fresh import Fresh
from streams.lists import check_gazetteers, gazetteers, read_register, register_file
from streams.settings import StreamSettings
from streams.steps.known import BadGazetteer
from streams.steps.register import BadRegister, Register

HEAD = "workplace_id,name,aliases,country,admin1,isic_division\n"
GOOD = HEAD + "w1,Golden Fish,GF Foods,TH,TH-74,10\n"
UNCHANGED = object()
SECRET = "Somchai Seafood"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def register(tmp_path, clock):
    """Return a function that writes the register and tells how many names are in use a second later."""
    path = tmp_path / "workplaces.csv"
    path.write_text(GOOD, encoding="utf-8")
    fresh = Fresh(lambda: register_file(tmp_path), read_register, BadRegister, clock)

    def after(content=None):
        if content is None:
            path.unlink()
        elif content is not UNCHANGED:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            os.utime(path, ns=(0, int(clock.now * 1e9) + 10**9))
        clock.now += 1
        return len(fresh())

    return after


def test_a_register_that_changes_is_read_again(register):
    assert register(GOOD + "w2,Silver Boat,,TH,TH-74,10\n") == 3
    assert register(None) == 0
    assert register(GOOD) == 2


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (GOOD + f"w2,{SECRET},Golden Fish,TH,TH-74,10\n", "workplaces.csv, line 3"),
        (GOOD + f"w2,{SECRET}\n", "workplaces.csv, line 3"),
        (f"name\n{SECRET}\n", "workplaces.csv, line 2"),
        (
            GOOD.encode() + f"w2,{SECRET} é,,TH,TH-74,10\n".encode("latin-1"),
            "workplaces.csv: not CSV in UTF-8",
        ),
        (GOOD + f'w2,"{SECRET}' + "x" * 200_000 + '"\n', "workplaces.csv: not CSV in UTF-8"),
    ],
)
def test_a_broken_register_stops_the_start_and_later_leaves_the_old_one_and_says_so(
    register, tmp_path, caplog, broken, why
):
    assert register(broken) == 2 and register(broken) == 2
    assert caplog.text.count(why) >= 1 and SECRET not in caplog.text
    with pytest.raises(BadRegister, match=why) as caught:
        read_register(register_file(tmp_path))
    assert SECRET not in str(caught.value)
    assert register(GOOD) == 2


def test_a_fault_is_told_once_and_again_when_the_file_has_changed(register, caplog):
    def told():
        return caplog.text.count("stays in use")

    said = [
        (register(content), told())[1] for content in ("name\nx\n", UNCHANGED, UNCHANGED, "name\nx\n", GOOD)
    ]
    assert said == [1, 1, 1, 2, 2]


def test_the_gazetteers_are_every_csv_of_their_folder_and_the_register(tmp_path):
    assert gazetteers(tmp_path) == ()
    (tmp_path / "gazetteers").mkdir()
    for name in ("gazetteers/villages.csv", "gazetteers/boats.csv", "gazetteers/notes.txt", "workplaces.csv"):
        (tmp_path / name).write_text("")
    assert [path.name for path in gazetteers(tmp_path)] == ["boats.csv", "villages.csv", "workplaces.csv"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"kind,name\nSHIP,{SECRET}\n".encode(), "villages.csv, line 2"),
        (f"name\n{SECRET}\n".encode(), "villages.csv, line 2"),
        (f"kind,name\nVILLAGE,{SECRET} é\n".encode("latin-1"), "villages.csv: not CSV in UTF-8"),
    ],
)
def test_a_broken_gazetteer_is_named_with_its_line_and_nobody_in_it(tmp_path, content, why):
    path = tmp_path / "villages.csv"
    path.write_bytes(content)
    with pytest.raises(BadGazetteer, match=why) as caught:
        check_gazetteers([path])
    assert SECRET not in str(caught.value)


@pytest.fixture
def node(tmp_path):
    (tmp_path / "gazetteers").mkdir()
    return Node(ConnectorSettings(home=tmp_path), StreamSettings(readers=0), "")


def test_a_node_does_not_start_with_a_broken_list(node):
    (node.home / "gazetteers" / "villages.csv").write_text(f"kind,name\nSHIP,{SECRET}\n")
    with pytest.raises(BadGazetteer, match=r"villages\.csv, line 2"):
        node.receiver()
    (node.home / "gazetteers" / "villages.csv").unlink()
    (node.home / "workplaces.csv").write_text(HEAD + f"w1,{SECRET}\n")
    with pytest.raises(BadRegister, match=r"workplaces\.csv, line 2"):
        node.deidentifier()


def test_a_name_that_is_added_while_the_node_runs_is_removed_a_second_later(node):
    read_all = node.read_all
    text = "we work the night shift for no pay"
    assert read_all([(text, "en")])[0].text == text
    (node.home / "gazetteers" / "dormitories.csv").write_text("kind,name,aliases\nDORMITORY,Night Shift,\n")
    time.sleep(1.1)
    (read,) = read_all([(text, "en")])
    assert "shift" not in read.text and "pay" in read.text


def test_registered_workplaces_are_removed_from_texts_and_told_by_their_words(node):
    (node.home / "workplaces.csv").write_text(GOOD)
    (read,) = node.read_all([("we work for Golden Fish and gf foods", "en")])
    assert "Fish" not in read.text and "foods" not in read.text
    assert node.register().mentioned(["we work for gf foods"]).workplace_id == "w1"
    assert Register().mentioned(["we work for gf foods"]) is None


def test_readers_in_processes_read_as_one_in_the_node_does(node):
    (node.home / "workplaces.csv").write_text(GOOD)
    texts = [("we work for Golden Fish", "en"), ("call 081-234 5678", "en"), ("เธอ", "th"), ("x", "xx")]
    apart = replace(node, stream=replace(node.stream, readers=1))
    try:
        here, there = node.read_all(texts), apart.read_all(texts)
        assert here == there and [bool(words.text) for words in here] == [True, True, True, False]
    finally:
        apart.close()


def test_a_door_of_the_node_de_identifies_for_the_sources_that_ask_for_it(node):
    for name, where in (("hotline", "stream"), ("union", "source")):
        sources.add(node.home, name, deidentify=where)
    raw = json.dumps({"id": "1", "narratives": [{"key": "a", "text": SECRET, "lang": "en"}]}).encode()
    node.door().accept([canonical.read(raw, name, "STATIC_SECRET") for name in ("hotline", "union")])
    sent = [node.codec.decode(SealedReport, row.parcel.value) for row in node.outbox().unsent(0, 10)]
    assert [report.body_schema for report in sent] == ["raw_report_body/1", "deidentified_body/1"]
