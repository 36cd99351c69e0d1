"""Each script runs, with tiny numbers, and gives the rows that it promises. How fast anything was is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as all_of_them
from benchmarks import peers
from benchmarks.benchmark import Benchmark, NothingMeasured
from benchmarks.figures import Figure, Row
from tests.postgres import NAMED

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TINY = {
    "drain": "--jobs 4 --workers 1 2 --pairs 1",
    "backlog": "--sizes 10 --jobs 4 --workers 2 --pairs 1",
    "claims": "--jobs 20 --workers 1 4 --rounds 2",
    "ingest": "--jobs 20 --singles 20 --callers 4 --rounds 1",
    "pickup": "--jobs 2 --windows 1 --seconds 0.1",
    "startup": "--pairs 1",
    "reads": "--jobs 20 --pairs 1",
    "memory": "--jobs 3000 --workers 2 --seconds 0.3 --outputs 2 --rounds 1",
    "many": "--jobs 8 --sleep 1 --rounds 1",
    "soak": "--minutes 0.04 --workers 2",
    "peers": "--jobs 4 --workers 2 --rounds 1",
    "scale": "--jobs 20 --engines 1 --workers 2 --rounds 1 --retained 40",
}
ROWS: dict[str, list[dict[str, int | float | str]]] = {
    "drain": [{"workers": 1}, {"workers": 2}],
    "backlog": [
        {"kind": kind, "size": 10, "workers": 2} for kind in ("pending", "completed", "future", "paused", "parked")
    ],
    "claims": [{"workers": 1}, {"workers": 4}],
    "ingest": [{"way": "batch"}, {"way": "singles"}],
    "pickup": [{"percentile": 0.5}, {"percentile": 0.99}, {}],
    "startup": [{}],
    "reads": [{"command": name} for name in ("status", "list", "show", "list", "stats")],
    "memory": [{"of": "queue"}, {"of": "rise"}, {"of": "outputs"}],
    "many": [{"of": "jobs"}, {"of": "heartbeat"}],
    "scale": [
        {"of": "alone", "engines": 1},
        {"of": "alone, beside procrastinate"},
        {"of": "alone, beside pgqueuer"},
        {"of": "true, beside procrastinate"},
        {"of": "true, beside pgqueuer"},
        {"of": "size"},
    ],
}


def rows_of(name: str, *more: str) -> list[Row]:
    """Run a script's own code with tiny numbers."""
    benchmark = all_of_them.ALL[name]
    return list(benchmark.measure(benchmark.parse([*TINY[name].split(), *more])))


def test_every_script_is_tried() -> None:
    assert TINY.keys() == all_of_them.ALL.keys()


@pytest.mark.parametrize("name", ROWS)
def test_it_gives_its_rows(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "scale":
        # A server takes longer to make than all of this.
        monkeypatch.setenv(NAMED, request.getfixturevalue("postgres"))
    rows = rows_of(name)
    assert {row.benchmark for row in rows} == {name}
    assert all(row.case.items() >= case.items() for row, case in zip(rows, ROWS[name], strict=True))
    assert all(row.ran and row.figure.times >= 1 and row.figure.low <= row.figure.high for row in rows)


def test_peers_that_are_found_are_measured_and_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # huey comes with what the tests need; what else the machine has is not known.
    synced, not_synced, *others = peers.PEERS
    absent = [replace(peer, is_found=lambda: False) for peer in others]
    monkeypatch.setattr(peers, "PEERS", (synced, not_synced, *absent))

    systems = [row.case["system"] for row in rows_of("peers")]

    assert systems == ["queuectl", "huey, synced", "huey, not synced"]
    named = [f"NOT FOUND, so not measured: {peer.name} ({peer.install})" for peer in absent]
    assert set(named) <= set(capsys.readouterr().err.splitlines())


def test_the_soak_gives_its_rows_and_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "soak.svg"
    rows = rows_of("soak", "--svg", str(picture))
    quantities = ("speed", "speed: change", "memory", "log", "file", "heartbeat")
    assert all(quantity in row.ran for quantity, row in zip(quantities, rows, strict=True))
    assert "<svg" in picture.read_text()


def test_a_script_runs_alone(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.claims", *TINY["claims"].split(), "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    heading, rule, *rows = done.stdout.splitlines()
    assert heading.startswith("| benchmark | what ran | figure |")
    assert set(rule) <= set("|-: ")
    assert [row.split(" | ")[0] for row in rows] == ["| claims"] * 2
    stored = json.loads(figures.read_text())
    assert stored["machine"]["python"]
    assert [row["figure"]["times"] for row in stored["rows"]] == [2, 2]


def _stub(name: str, *rows: Row) -> Benchmark:
    def measure(_options: Namespace) -> Iterator[Row]:
        yield from rows
        if not rows:
            raise NothingMeasured("it fell over")

    return replace(all_of_them.ALL[name], measure=measure)


def _row(benchmark: str, **case: float | str) -> Row:
    return Row(benchmark=benchmark, ran="jobs", figure=Figure(0.5, 0.4, 0.6, 3), unit="of xargs", case=case)


def test_all_of_them_end_in_a_table_a_file_and_a_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stubs = {
        "backlog": _stub("backlog", _row("backlog", kind="pending", size=10, workers=4, share=0.8, share_alone=0.9)),
        "peers": _stub("peers", *(_row("peers", system=of, workers=4) for of in ("queuectl", "huey"))),
        "claims": _stub("claims"),
    }
    monkeypatch.setattr(all_of_them, "ALL", stubs)
    figures, picture = tmp_path / "all.json", tmp_path / "all.svg"

    code = all_of_them.main(["--only", *stubs, "--json", str(figures), "--svg", str(picture)])

    out, err = capsys.readouterr()
    assert code == 1
    assert "claims: it fell over" in err
    assert [line.split()[1] for line in out.splitlines()[4:]] == ["backlog", "peers", "peers"]
    assert [row["benchmark"] for row in json.loads(figures.read_text())["rows"]] == ["backlog", "peers", "peers"]
    assert "<svg" in picture.read_text()


def test_a_picture_of_few_figures_is_drawn_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    picture = tmp_path / "few.svg"
    monkeypatch.setattr(all_of_them, "ALL", {"drain": _stub("drain", _row("drain", workers=4))})
    assert all_of_them.main(["--only", "drain", "--svg", str(picture)]) == 0
    assert "<svg" in picture.read_text()
