"""The maps measured: beside hand-written code, on a large file, loaded by the hundred, fed with damaged messages."""

import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from hub.bench import hand
from hub.bench.messages import MESSAGES, PilgrimFile, application, line
from hub.canonical.declare import faults
from hub.canonical.errors import HubError
from hub.mapping import Map, load

MAPS = Path(__file__).parent / "maps"
SEED = 7
#: What is asked of the maps: times hand-written code, records a second, megabytes, seconds for 120 maps.
RATIO, RATE, MEGABYTES, LOADING = 1.6, 100_000, 80, 1.0
_MESSAGES, _ROUNDS = 1_000, 15


def bench_map(name: str) -> Map:
    return load(MAPS / f"{name}.yaml", messages=MESSAGES)


# --- beside hand-written code -------------------------------------------------------------------------------------


def ratios(messages: int = _MESSAGES, rounds: int = _ROUNDS) -> list[dict[str, Any]]:
    """Each format read and written, by its map and by hand, in turn; the best round of each counts, in processor time.

    Both sides must come to the same messages, or AssertionError is raised.
    """
    chance = random.Random(SEED)  # noqa: S311 - invented data
    file = PilgrimFile(lines=[line(number, chance) for number in range(messages)])
    asked = [application(number, chance) for number in range(messages)]
    found = []
    for name, ours, theirs in (*_files(file), *_messages(asked)):
        mine, other = [], []
        for _ in range(rounds):
            other.append(_timed(theirs))
            mine.append(_timed(ours))
        best, by_hand = min(mine), min(other)
        found.append({
            "what": name, "map_us": round(best / messages * 1e6, 2), "hand_us": round(by_hand / messages * 1e6, 2),
            "ratio": round(best / by_hand, 2), "met": best / by_hand <= RATIO,
        })  # fmt: skip
    return found


_Case = tuple[str, Callable[[], Any], Callable[[], Any]]


def _files(file: PilgrimFile) -> Iterator[_Case]:
    fixed, comma = bench_map("fixed"), bench_map("csv")
    wire = fixed.write(file)
    assert wire == "".join(hand.write_fixed(file.lines)).encode()
    assert fixed.read(wire).lines == list(hand.read_fixed(io.StringIO(wire.decode()))) == file.lines
    yield "fixed write", lambda: fixed.write(file), lambda: "".join(hand.write_fixed(file.lines)).encode()
    yield "fixed read", lambda: fixed.read(wire), lambda: list(hand.read_fixed(io.StringIO(wire.decode())))
    cells = comma.write(file)
    assert cells == _hand_csv(file)
    assert comma.read(cells).lines == list(hand.read_csv(io.StringIO(cells.decode()))) == file.lines
    yield "csv write", lambda: comma.write(file), lambda: _hand_csv(file)
    yield "csv read", lambda: comma.read(cells), lambda: list(hand.read_csv(io.StringIO(cells.decode())))


def _hand_csv(file: PilgrimFile) -> bytes:
    out = io.StringIO()
    hand.write_csv(file.lines, out)
    return out.getvalue().encode()


def _messages(asked: list[Any]) -> Iterator[_Case]:
    soap, rest = bench_map("soap"), bench_map("json")
    for name, map_, write, read in (
        ("soap", soap, hand.write_soap, hand.read_soap),
        ("json", rest, hand.write_json, hand.read_json),
    ):
        wires = [map_.write(one) for one in asked]
        assert [map_.read(wire) for wire in map(write, asked)] == asked == [read(wire) for wire in wires]
        yield f"{name} write", _each(map_.write, asked), _each(write, asked)
        yield f"{name} read", _each(map_.read, wires), _each(read, wires)


def _each(act: Callable[[Any], Any], given: list[Any]) -> Callable[[], Any]:
    return lambda: [act(one) for one in given]


def _timed(act: Callable[[], Any]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


# --- one large file -----------------------------------------------------------------------------------------------


def volume(records: int = 100_000) -> list[dict[str, Any]]:
    """A file of so many records of 400 bytes, written and read as a stream, each in a process of its own.

    Of three readings the fastest counts: other work on the machine makes one slower, and nothing makes one faster.
    Writing takes in inventing the records.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pilgrims.txt"
        written = _child("write", path, records)
        return [written, max((_child("read", path, records) for _ in range(3)), key=lambda told: told["per_second"])]


def _child(what: str, path: Path, records: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "hub.bench.volume", what, str(path), str(records)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own module
    told: dict[str, Any] = json.loads(done.stdout)
    told |= {"what": f"fixed {what}, {records:,} records of 400 bytes"}
    told["met"] = told["megabytes"] < MEGABYTES and (what == "write" or told["per_second"] >= RATE)
    return told


# --- many maps ----------------------------------------------------------------------------------------------------


def loading(home: Path, maps: int = 120) -> dict[str, Any]:
    """So many maps, copies of the repository's own in turn, loaded one after another; the faster time of two."""
    sources = sorted(home.glob("mappings/*/*/*/*.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(home / "mappings" / "tables", root / "mappings" / "tables")
        shutil.copytree(home / "adapters", root / "adapters")
        copies = []
        for number, source in zip(range(maps), cycle(sources), strict=False):
            inside = source.relative_to(home)
            copy = root / inside.parent.with_name(f"{inside.parent.name}_{number}") / inside.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
            copies.append(copy)
        times = []
        for _ in range(2):
            start = time.perf_counter()
            for copy in copies:
                load(copy, home=root)
            times.append(time.perf_counter() - start)
        spent = min(times)
    return {"what": f"{maps} maps loaded", "seconds": round(spent, 3), "met": spent <= LOADING}


# --- damaged messages ---------------------------------------------------------------------------------------------


def damaged(home: Path, count: int, seed: int = SEED) -> dict[str, Any]:
    """*count* damaged messages of partners over all maps that have examples; what became of them.

    Each must come to a message that obeys its declaration or to a coded error; ``stray`` names what did not, by map and
    exception, and nothing of what was sent.
    """
    maps = [load(path, home=home) for path in sorted(home.glob("mappings/*/*/*/*.yaml"))]
    samples = [(map_, sample.read_bytes()) for map_ in maps if map_.active for sample in map_.examples]
    chance = random.Random(seed)  # noqa: S311 - which bytes are damaged is no secret
    outcomes, stray = Counter[str](), Counter[str]()
    start = time.perf_counter()
    for _, (map_, wire) in zip(range(count), cycle(samples), strict=False):
        order = chance.choice((None, "DMY", "MDY", "YMD"))
        try:
            message = map_.read(damage(wire, chance), date_order=order)
        except HubError as error:
            outcomes[error.code] += 1
        except Exception as error:
            stray[f"{map_.name}: {type(error).__name__}"] += 1
        else:
            outcomes["value"] += 1
            if next(faults(message), None) is not None:
                stray[f"{map_.name}: a message that breaks its declaration"] += 1
    return {
        "what": f"{count:,} damaged messages over {len(samples)} samples of {len(maps)} maps", "seed": seed,
        "seconds": round(time.perf_counter() - start, 1), "values": outcomes.pop("value", 0),
        "errors": dict(outcomes.most_common()), "stray": dict(stray), "met": not stray,
    }  # fmt: skip


def damage(wire: bytes, chance: random.Random) -> bytes:
    """*wire* with one to four things done to it: bytes changed, cut out or put in, the end cut off, a piece doubled."""
    data = bytearray(wire)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        # Mostly damage that leaves a message's frame whole, so that its values are what is looked at.
        at, what = chance.randrange(len(data) or 1), chance.choice((0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5))
        if what == 0 and data:
            data[at] = chance.randrange(256)
        elif what == 1:
            del data[at : at + chance.randint(1, 16)]
        elif what == 2:
            data[at:at] = bytes([chance.randrange(256)])
        elif what == 3 and chance.random() < 0.3:
            del data[at:]
        elif what == 4:
            data[at:at] = data[at : at + chance.randint(1, 200)]
        elif data:
            data[at] = chance.choice(b"0123456789ABCxyz-+./,;:<> ")
    return bytes(data)
