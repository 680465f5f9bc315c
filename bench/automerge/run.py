#!/usr/bin/env python3
"""Measures our Automerge engine beside its peers and prints the table of bench/README.md.

    scripts/build-peers --bench            once: the peers (Rust, Node.js)
    bench/automerge/run.py                 every row on every engine, about 8 minutes
    bench/automerge/run.py small-sync ...  some rows
    bench/automerge/run.py --only ours,am12,loro

Every figure is the CPU time of the process, best of the runs that eight seconds hold (at most
five), each row in a process of its own. `heap` is what the work left in use by malloc, `peak` the
resident memory it reached above what was there before; for Node.js, whose heap is not malloc's,
the resident memory it left. A digest over the resulting bytes (raw saves, heads) must be the same
on every Automerge engine, or the run fails.

--build DIR     where ours was built (default build/release)
--only NAMES    engines: ours, am12, am07, npm, loro, yrs, dt
PEAT_PEERS_DIR  where the peers are (default ~/.cache/peat-peers)
PEAT_SHARED_DATA  folder of automerge-corpus.tar.gz (default ../shared/data)
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("PEAT_PEERS_DIR") or pathlib.Path.home() / ".cache/peat-peers")
DATA = pathlib.Path(os.environ.get("PEAT_SHARED_DATA") or ROOT / "../shared/data")

ENGINES = {
    "ours": "ours",
    "am12": "automerge 0.12.0",
    "am07": "automerge 0.7.1",
    "npm": "npm 3.5.0",
    "loro": "loro 1.17.1",
    "yrs": "yrs 0.28.1",
    "dt": "diamond-types 1.0.0",
}

# Row: what it is, the goal in CPU ms, the goal in bytes (None: no goal).
ROWS = {
    "trace-one": ("trace, one transaction, encoded and hashed", 9, None),
    "trace-keys": ("trace, one change per keystroke", 90, None),
    "load-one": ("load and verify the trace, 1 change", 6, None),
    "load-keys": ("load and verify the trace, 260k changes", 75, None),
    "load-one-lazy": ("load the trace lazily, 1 change", 3, None),
    "load-keys-lazy": ("load the trace lazily, 260k changes", 4, None),
    "save-raw": ("save the trace one keystroke later, raw", 0.4, None),
    "save-deflate": ("the same, deflated", 5.4, None),
    "map-puts": ("100,000 puts into one map", 25, None),
    "map-overwrites": ("100,000 overwrites of 100 keys", 20, None),
    "map-changes": ("10,000 overwrites, a change each", 8, None),
    "small-create": ("10,000 documents of 1.1 KiB: create", 50, None),
    "small-save-raw": ("— save raw", 65, None),
    "small-save-deflate": ("— save deflated", 110, None),
    "small-load": ("— load and verify", 80, None),
    "small-load-read": ("— load, verify and build", None, None),
    "small-update": ("— update one field", 20, None),
    "small-sync": ("— one field changed, synced to quiescence", 150, 250),
    "small-push": ("— the same, pushed as a change with known heads", 40, 160),
    "diverged-map": ("1,000 + 1,000 changes apart, map: sync", 2, None),
    "diverged-text": ("1,000 + 1,000 changes apart, text: sync", 3, None),
    "file-godot-thread": ("load, edit, save godot-thread", None, None),
    "file-C2": ("load, edit, save C2", None, None),
    "file-S3": ("load, edit, save S3", None, None),
}
TENTH = {"file-godot-thread", "file-C2", "file-S3"}  # goal: a tenth of automerge 0.12, peak too
MINUTES = {("trace-one", "yrs")}  # not run


def prepare(ours: pathlib.Path) -> pathlib.Path:
    """The folder of inputs: the corpus's traces and files, and the traces saved by us."""
    inputs = PEERS / "bench-inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    wanted = {
        "rust/edit-trace/edits.json",
        "rust/benchmark-battery/data/godot-thread.amrg",
        "rust/benchmark-battery/egwalker-paper/C2.am",
        "rust/benchmark-battery/egwalker-paper/S3.am",
    }
    if not all((inputs / name.rsplit("/", 1)[1]).exists() for name in wanted):
        archive = DATA / "automerge-corpus.tar.gz"
        if not archive.exists():
            sys.exit(f"{archive} is not there: set PEAT_SHARED_DATA")
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in wanted:
                    target = inputs / name.rsplit("/", 1)[1]
                    target.write_bytes(tar.extractfile(member).read())
    with open(inputs / "edits.txt", "w", encoding="ascii") as out:
        for at, erase, *inserted in json.loads((inputs / "edits.json").read_bytes()):
            out.write(f"{at} {erase} {''.join(inserted).encode().hex()}\n")
    subprocess.run([ours, "prepare", inputs], check=True)
    return inputs


def commands(build: pathlib.Path) -> dict[str, list[str]]:
    release = PEERS / "bench-target/release"
    found = {"ours": [str(build / "bench/automerge/side_by_side")]}
    for name in ("am12", "am07", "loro", "yrs", "dt"):
        found[name] = [str(release / f"bench_{name}")]
    found["npm"] = ["node", "--expose-gc", str(PEERS / "npm/rows.mjs")]
    return found


def run(command: list[str], row: str, inputs: pathlib.Path) -> dict[str, str]:
    done = subprocess.run([*command, row, inputs], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        sys.exit(f"{command[-1]} {row}: {done.stderr.strip()[-2000:]}")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(value: float) -> str:
    mib = value / 1024**2
    return f"{mib:.1f}" if abs(mib) >= 0.95 else f"{mib:.2f}"


def cell(found: dict[str, str] | None, ours: float | None) -> str:
    if not found:
        return "–"
    ms = float(found["ms"])
    ratio = f" ({number(ms / ours)}×)" if ours else ""
    return number(ms) + ratio


def goal_of(row: str, results: dict) -> float | None:
    if row in TENTH:
        reference = results[row].get("am12")
        return float(reference["ms"]) / 10 if reference else None
    return ROWS[row][1]


def table(results: dict, engines: list[str]) -> str:
    peers = [name for name in engines if name != "ours"]
    lines = ["| work, CPU ms | ours | goal | " + " | ".join(ENGINES[p] for p in peers) + " |"]
    lines.append("|---" * (3 + len(peers)) + "|")
    for row, found in results.items():
        ours = float(found["ours"]["ms"]) if "ours" in found else None
        goal = goal_of(row, results)
        met = "" if goal is None or ours is None else " ✓" if ours <= goal else " ✗"
        mine = number(ours) + met if ours is not None else "–"
        cells = [mine, "–" if goal is None else number(goal)]
        cells += [cell(found.get(peer), ours) for peer in peers]
        lines.append(f"| {ROWS[row][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def memory_table(results: dict, engines: list[str]) -> str:
    lines = ["| heap left / peak above start, MiB | " + " | ".join(ENGINES[e] for e in engines)]
    lines[0] += " |"
    lines.append("|---" * (1 + len(engines)) + "|")
    for row, found in results.items():
        cells = []
        for engine in engines:
            one = found.get(engine)
            heap = size(float(one["heap"])) if one else ""
            cells.append(f"{heap} / {size(1024 * float(one['peak']))}" if one else "–")
        lines.append(f"| {ROWS[row][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bytes_table(results: dict, engines: list[str]) -> str:
    lines = ["| bytes (a document's, where there are 10,000) | goal | "]
    lines[0] += " | ".join(ENGINES[e] for e in engines) + " |"
    lines.append("|---" * (2 + len(engines)) + "|")
    for row, found in results.items():
        if not any("bytes" in one for one in found.values()):
            continue
        goal = ROWS[row][2]
        counts = [found.get(engine, {}).get("bytes") for engine in engines]
        cells = ["–" if count is None else f"{int(count):,}" for count in counts]
        lines.append(f"| {ROWS[row][0]} | {goal or '–'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--only", default=",".join(ENGINES))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}: {', '.join(ROWS)}")
    programs = commands(arguments.build)
    engines = [name for name in ENGINES if name in arguments.only.split(",")]
    missing = [name for name in engines if not pathlib.Path(programs[name][-1]).exists()]
    if missing:
        names = ", ".join(missing)
        sys.exit(f"not built: {names} (scripts/build-peers --bench; the release preset)")
    inputs = prepare(pathlib.Path(programs["ours"][0]))

    results: dict[str, dict[str, dict[str, str]]] = {}
    wrong = []
    for row in arguments.rows or ROWS:
        results[row] = {}
        for name in engines:
            if (row, name) in MINUTES:
                continue
            found = run(programs[name], row, inputs)
            if "ms" in found:
                results[row][name] = found
                print(f"{row:<20}{name:<6}{found['ms']:>12} ms", file=sys.stderr, flush=True)
        with_digest = ((name, one) for name, one in results[row].items() if "digest" in one)
        digests = {name: one["digest"] for name, one in with_digest}
        if len(set(digests.values())) > 1:
            wrong.append(f"{row}: {digests}")
    print(table(results, engines))
    print()
    print(memory_table(results, engines))
    print()
    print(bytes_table(results, engines))
    for line in wrong:
        print(f"\nNOT THE SAME BYTES: {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
