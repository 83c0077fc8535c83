"""Requests: left, read in order, carried out or refused; what cannot be read is named once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nas import requests
from nas.requests import Request
from tests.nas.runs import SMALL
from trials.storage import Storage

STOP = Request(what="stop", by="here 1")


def test_requests_come_back_in_their_order_and_go_when_done(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert requests.pending(storage) == ({}, [])
    asked = [
        Request(what="grow", by="here 1", config=SMALL),
        Request(what="cancel", by="here 2", trial="digits.twin.search.0.0003"),
        STOP,
    ]
    names = [requests.leave(storage, each) for each in asked]
    assert requests.pending(storage) == (dict(zip(names, asked)), [])
    requests.done(storage, names[0])
    assert list(requests.pending(storage)[0].values()) == asked[1:]


def test_what_cannot_be_read_is_named_and_removed(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    name = requests.leave(storage, STOP)
    storage.put("requests/00.json", b"{")
    storage.put("requests/01.json", b'{"what": "dance", "by": "here 1"}')
    storage.put("requests/02.json", b'{"what": "cancel", "by": "here 1"}')
    for stray in ("00.json~", "a copy.json", ".02.json.swp", "notes.txt"):
        (tmp_path / "requests" / stray).write_text("{")
    found, unreadable = requests.pending(storage)
    assert list(found) == [name]
    assert [line.split(" ")[0].rpartition("/")[2] for line in unreadable] == ["00.json", "01.json", "02.json"]
    assert "must be one of stop, cancel, grow, got 'dance'" in unreadable[1]
    assert "a request to cancel names a trial" in unreadable[2]
    assert requests.pending(storage)[1] == []
    assert set(storage.names("requests/")) - {name} == {
        f"requests/{stray}" for stray in ("00.json~", "a copy.json", "notes.txt")
    }


def test_who_asks_learns_how_it_ended(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    name = requests.leave(storage, STOP)
    assert not requests.answered(storage, name, patience=0.1, poll=0.05)
    later = threading.Timer(0.2, requests.done, (storage, name))
    later.start()
    assert requests.answered(storage, name, poll=0.05)
    later.join()

    name = requests.leave(storage, STOP)
    requests.refuse(storage, name, STOP, "no trial runs")
    assert requests.pending(storage) == ({}, []), "it is not tried again"
    with pytest.raises(ValueError, match="no trial runs"):
        requests.answered(storage, name)
    assert storage.names("requests/") == []
