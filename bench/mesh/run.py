#!/usr/bin/env python3
"""Nodes side by side with the reference peer: latency of one document, catch-up of 10,000, memory.

    bench/mesh/run.py [--documents 10000] [--rounds 200] [--only latency|catch-up]

Every pairing runs in one go on this machine: ours with ours over peat/sync/2 and over
cap/automerge/1, the reference peer with itself, and mixed pairs. The reference peer is required: a
ratio without it would mean nothing. Build release first (cmake --preset release).

latency: from the start of the PUT (or the reference's put and sync) until the other node shows the
document. For ours the other node's event stream says so; the reference is asked in a tight loop.
"durable" is until the write is answered and the other node has acknowledged its own commit.
catch-up: the sender is restarted with its documents on disk, the receiver is empty; time from
connecting until the receiver holds all of them, durably for ours. CPU is of both processes.
"""

import argparse
import http.client
import json
import os
import pathlib
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import lab  # noqa: E402

os.environ["RUST_LOG"] = "warn"
lab.BIN = ROOT / "build/release/apps" if not (lab.BIN / "peat-mesh-node").exists() else lab.BIN
PAD = "x" * 860


class Events:
    """The event stream of one of our nodes, read on a thread: key → time seen."""

    def __init__(self, node):
        self.seen = {}
        self.arrived = threading.Condition()
        self.connection = http.client.HTTPConnection(node.api.hostname, node.api.port)
        self.connection.request("GET", "/api/v1/events")
        self.response = self.connection.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.response:
            now = time.perf_counter()
            event = json.loads(line)
            if "doc_id" in event:
                with self.arrived:
                    self.seen[f"{event['collection']}:{event['doc_id']}"] = now
                    self.arrived.notify_all()

    def wait(self, key):
        with self.arrived:
            if not self.arrived.wait_for(lambda: key in self.seen, 30):
                raise AssertionError(f"{key} never arrived")
            return self.seen[key]


class Ours:
    def __init__(self, laboratory, name, native=True, dial=None):
        arguments = ["--allow-unauthenticated-peers", "--log-level", "warn"]
        if not native:
            arguments += ["--native-protocol", "false"]
        peers = [dial.dial_string()] if dial else []
        self.node = laboratory.daemon(name, peers=peers, arguments=arguments)
        self.events = None
        self.client = None
        self.authentication = ""

    def dial_string(self):
        return self.node.address

    def connect(self, other):
        self.node.connect(other.id, other.bind,
                          auth="none" if isinstance(other, Reference) else None)

    id = property(lambda self: self.node.id)
    bind = property(lambda self: self.node.bind)
    pid = property(lambda self: self.node.process.pid)

    def watch(self):
        self.events = Events(self.node)

    def write(self, key, document):
        """Returns when the write has been answered, that is, when it is durable here."""
        collection, id = key.split(":")
        if self.client is None:
            self.client = http.client.HTTPConnection(self.node.api.hostname, self.node.api.port)
        self.client.request("PUT", self.node.document_path(collection, id), json.dumps(document),
                            {"Content-Type": "application/json"})
        self.client.getresponse().read()

    def wait_seen(self, key):
        return self.events.wait(key)

    def fill(self, count):
        lines = "".join(json.dumps({"id": f"d{i}", "n": i, "pad": PAD}) + "\n"
                        for i in range(count))
        status, _, text = self.node.request(
            "POST", "/api/v1/documents/bulk?key=id", lines,
            {"Content-Type": "application/x-ndjson"}, timeout=300)
        assert status == 200, text[:500]

    def restart(self):
        self.node.stop()
        self.node.start()

    def holds(self, count):
        metrics = self.node.metrics()
        return (metrics["peat_documents"] >= count and
                metrics["peat_feed_durable_position"] == metrics["peat_feed_position"])

    def lag(self, other):
        for peer in self.node.json("GET", "/api/v1/peers")["peers"]:
            if peer["id"] == other.id:
                return peer["lag"]
        return None

    def connected_to(self, other):
        return other.id in self.node.connected()

    def memory(self):
        return self.node.memory_kib(), self.node.memory_kib("RssAnon")


class Reference:
    def __init__(self, laboratory, name):
        self.peer = laboratory.refpeer(name)

    def dial_string(self):
        return self.peer.address + ",auth=none"

    id = property(lambda self: self.peer.id)
    bind = property(lambda self: self.peer.bind)
    pid = property(lambda self: self.peer.process.pid)

    def watch(self):
        pass

    def connect(self, other):
        self.peer.run("connect", id=other.id, addr=other.bind)

    def write(self, key, document):
        self.peer.run("put", key=key, json=document)
        self.peer.run("sync", key=key)

    def wait_seen(self, key):
        while self.peer.run("get", key=key)["json"] is None:
            pass
        return time.perf_counter()

    def fill(self, count):
        self.peer.run("fill", prefix="bulk:d", count=count, bytes=len(PAD), timeout=300)

    def restart(self):
        self.peer.kill()
        self.peer.start()

    def push(self):
        # Document by document it stops at its own rate limit after about a hundred.
        self.peer.run("sync_batch", prefix="bulk:", timeout=300)

    def holds(self, count):
        return self.peer.run("count")["count"] >= count

    def connected_to(self, other):
        return other.id in self.peer.run("peers")["peers"]

    def memory(self):
        return self.peer.memory_kib(), self.peer.memory_kib("RssAnon")


PAIRS = {
    "reference → reference": (Reference, Reference, True),
    "ours → ours, peat/sync/2": (Ours, Ours, True),
    "ours → ours, cap/automerge/1": (Ours, Ours, False),
    "ours → reference": (Ours, Reference, True),
    "reference → ours": (Reference, Ours, True),
}


def make(kind, laboratory, name, native):
    return kind(laboratory, name, native) if kind is Ours else kind(laboratory, name)


def link(sender, receiver):
    sender.connect(receiver)
    lab.wait_for(lambda: sender.connected_to(receiver), "sender is connected", 30)
    lab.wait_for(lambda: receiver.connected_to(sender), "receiver is connected", 30)


def latency(pair, rounds):
    kind_a, kind_b, native = PAIRS[pair]
    with lab.Lab() as laboratory:
        a, b = make(kind_a, laboratory, "a", native), make(kind_b, laboratory, "b", native)
        b.watch()
        link(a, b)
        time.sleep(3 if Reference in (kind_a, kind_b) else 0.5)
        idle = b.memory()
        seen, durable = [], []
        for i in range(rounds + 10):
            key = f"docs:{i}"
            start = time.perf_counter()
            if kind_b is Reference:
                writer = threading.Thread(target=a.write, args=(key, {"n": i, "pad": PAD}))
                writer.start()
                end = b.wait_seen(key)
                writer.join()
            else:
                a.write(key, {"n": i, "pad": PAD})
                end = b.wait_seen(key)
            both = None
            if kind_a is Ours and kind_b is Ours:
                while a.lag(b) != 0:
                    pass
                both = time.perf_counter()
            if i >= 10:
                seen.append((end - start) * 1e3)
                if both and native:
                    durable.append((both - start) * 1e3)
        return seen, durable, idle


def catch_up(pair, count):
    kind_a, kind_b, native = PAIRS[pair]
    with lab.Lab() as laboratory:
        a, b = make(kind_a, laboratory, "a", native), make(kind_b, laboratory, "b", native)
        a.fill(count)
        a.restart()
        time.sleep(0.5)
        cpu = lab.cpu_seconds(a.pid) + lab.cpu_seconds(b.pid)
        start = time.perf_counter()
        link(a, b)
        if kind_a is Reference:
            threading.Thread(target=a.push, daemon=True).start()
        while not b.holds(count):
            if time.perf_counter() - start > 300:
                raise AssertionError("300 s were not enough")
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        cpu = lab.cpu_seconds(a.pid) + lab.cpu_seconds(b.pid) - cpu
        return seconds, cpu, a.memory(), b.memory()


def show(name, ms):
    ms = sorted(ms)
    print(f"{name:48s} median {statistics.median(ms):8.2f} ms   p99 {ms[len(ms) * 99 // 100]:8.2f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", choices=["latency", "catch-up"])
    options = parser.parse_args()
    if not (lab.PEERS / "refpeer").exists():
        sys.exit(f"no reference peer at {lab.PEERS}/refpeer: scripts/test --ci builds it")

    if options.only != "catch-up":
        print(f"One document of 0.9 KiB, {options.rounds} rounds, until the other node shows it")
        medians = {}
        for pair in PAIRS:
            seen, durable, idle = latency(pair, options.rounds)
            medians[pair] = statistics.median(seen)
            show(pair, seen)
            if durable:
                show(pair + ", durable on both", durable)
            print(f"{'':48s} receiver idle: VmRSS {idle[0] / 1024:.1f} MiB, "
                  f"RssAnon {idle[1] / 1024:.1f} MiB")
        base = medians["reference → reference"]
        for pair, value in medians.items():
            print(f"  {pair:46s} {base / value:6.2f} times the reference's speed")
    if options.only != "latency":
        print(f"\n{options.documents} documents of 0.9 KiB to an empty node, sender just restarted")
        results = {}
        for pair in PAIRS:
            seconds, cpu, memory_a, memory_b = results[pair] = catch_up(pair, options.documents)
            print(f"{pair:48s} {seconds:7.2f} s   CPU of both {cpu:7.2f} s   VmRSS (RssAnon) MiB: "
                  f"sender {memory_a[0] / 1024:.1f} ({memory_a[1] / 1024:.1f}), "
                  f"receiver {memory_b[0] / 1024:.1f} ({memory_b[1] / 1024:.1f})")
        base = results["reference → reference"]
        for pair, value in results.items():
            print(f"  {pair:46s} {base[0] / value[0]:6.2f} times faster, "
                  f"{base[1] / max(value[1], 0.01):6.2f} times less CPU than the reference")


if __name__ == "__main__":
    main()
