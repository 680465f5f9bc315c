"""What an operator asks a running node: lag, explanations, quarantine, backups."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN, LabTest, wait_for  # noqa: E402


class Operations(LabTest):
    def setUp(self):
        self.b = self.lab.daemon("b")
        self.a = self.lab.daemon("a", [self.b.address])
        wait_for(lambda: self.a.connected() == [self.b.id], "connected")

    def peat(self, *arguments, node=None):
        env = os.environ | {"PEAT_API": f"http://{(node or self.a).api.netloc}"}
        return subprocess.run([BIN / "peat", *map(str, arguments)], env=env, capture_output=True,
                              text=True, timeout=60)

    def good(self, *arguments, node=None):
        done = self.peat(*arguments, node=node)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def lag(self, peer, node=None):
        answer = json.loads(self.good("sync", node=node))
        return next(p for p in answer["peers"] if p["id"] == peer.id)

    def explain(self, document, peer, node=None):
        answer = json.loads(self.good("explain", "doc", document, "--peer", peer.id, node=node))
        return answer["verdict"], {f["about"]: f for f in answer["findings"]}

    def in_agreement(self):
        wait_for(lambda: self.lag(self.b)["documents_behind"] == 0, "b has everything")

    def test_lag_is_told_by_peer_and_collection_and_goes(self):
        self.a.put("t", "x", {"n": 1})
        self.in_agreement()
        self.assertEqual(self.lag(self.b)["collections"], [])
        self.b.stop()
        wait_for(lambda: not self.a.connected(), "b is away")
        for i in range(30):
            self.a.put("t", f"t{i}", {"text": "x" * 100})
        self.a.put("u", "u", {})
        self.a.delete("t", "x")
        lag = self.lag(self.b)
        self.assertEqual((lag["connected"], lag["documents_behind"]), (False, 32))
        parts = {c["collection"]: c for c in lag["collections"]}
        self.assertEqual({k: v["documents_behind"] for k, v in parts.items()}, {"t": 31, "u": 1})
        self.assertGreater(parts["t"]["bytes_behind"], 30 * 100)
        self.assertGreaterEqual(lag["oldest_ms"], parts["u"]["oldest_ms"])
        self.assertIn("(away)", self.good("--output", "table", "sync"))
        self.b.start()
        self.in_agreement()
        self.assertIsNone(self.lag(self.b)["oldest_ms"])

    def test_explain_says_why_a_document_is_or_is_not_there(self):
        self.a.put("t", "x", {"n": 1})
        self.in_agreement()
        verdict, found = self.explain("t/x", self.b)
        self.assertEqual(verdict, "there: the peer has acknowledged it")
        self.assertNotIn("blocks", [f["kind"] for f in found.values()])
        self.assertIn("peat/sync/2 over QUIC at 127.0.0.1", found["path"]["text"])
        verdict, _ = self.explain("t/x", self.a, node=self.b)
        self.assertIn("came from this peer", verdict)
        self.assertIn("does not have it", self.explain("t/none", self.b)[0])
        done = json.loads(self.good("explain", "doc", "t/x", "--peer", "0" * 64))
        self.assertIn("does not know the peer", done["verdict"])

        self.a.delete("t", "x")
        self.in_agreement()
        verdict, found = self.explain("t/x", self.b)
        self.assertIn("deleted by a", verdict)
        self.assertIn("tombstone", found)

        self.b.stop()
        wait_for(lambda: not self.a.connected(), "b is away")
        self.a.put("t", "y", {})
        self.a.put("t", "z", {})
        verdict, found = self.explain("t/z", self.b)
        self.assertTrue(verdict.startswith("waits: the peer is not connected"), verdict)
        self.assertEqual(found["peer"]["kind"], "blocks")
        self.assertIn("behind 1 others", found["queue"]["text"])
        text = self.good("--output", "table", "explain", "peer", self.b.id[:8])
        self.assertIn("not connected", text)
        self.assertEqual(self.peat("explain", "peer", "zz").returncode, 4)

    def test_a_record_that_the_disk_damaged_is_named_and_repaired_from_a_peer(self):
        self.a.put("t", "x", {"mark": "damage me here"})
        self.a.put("t", "y", {"n": 1})
        self.in_agreement()
        self.a.kill()
        file = self.a.data / "peat.mdb"
        content = bytearray(file.read_bytes())
        places = 0
        at = content.find(b"damage me here")
        while at >= 0:
            content[at] ^= 1
            places += 1
            at = content.find(b"damage me here", at + 1)
        self.assertGreater(places, 0)
        file.write_bytes(content)
        self.a.start()

        self.assertNotEqual(self.peat("get", "t/x").returncode, 0)
        self.assertEqual(self.a.get("t", "y"), {"n": 1}, "only what is damaged is")
        listed = json.loads(self.good("quarantine", "list"))["documents"]
        self.assertEqual([(d["id"], d["kind"]) for d in listed], [("x", "corrupt")])
        self.assertIn("bodies row", listed[0]["reason"])
        self.assertIn("corrupt", self.good("--output", "table", "quarantine", "show", "t/x"))
        self.assertIn("damaged", self.explain("t/x", self.b)[0])
        self.assertEqual(self.a.metrics()["peat_documents_quarantined"], 1)
        wait_for(lambda: self.a.connected() == [self.b.id], "connected again")
        asked = json.loads(self.good("quarantine", "retry", "t/x"))["asked"]
        self.assertEqual(asked, [self.b.id])
        wait_for(lambda: not json.loads(self.good("quarantine", "list"))["documents"], "repaired")
        self.assertEqual(self.a.get("t", "x"), {"mark": "damage me here"})
        self.assertEqual(self.a.heads("t", "x"), self.b.heads("t", "x"))
        self.assertEqual(self.peat("quarantine", "retry", "t/x").returncode, 4)

    def test_a_backup_of_the_running_node_is_restored_as_a_new_node(self):
        for i in range(300):
            self.a.put("t", f"d{i}", {"n": i})
        ended = threading.Event()

        def write():
            n = 0
            while not ended.is_set():
                self.a.put("t", "busy", {"n": n})
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        file = self.lab.path / "a.backup"
        try:
            self.good("backup", file)
        finally:
            ended.set()
            writer.join()
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual([p.name for p in self.a.data.iterdir() if "backup" in p.name], [])
        self.a.put("t", "later", {"after": "the backup"})
        self.a.delete("t", "d0")
        self.in_agreement()
        self.a.kill()

        def restore(source, name):
            return subprocess.run([BIN / "peat-mesh-node", "restore", source, "--data-dir",
                                   self.lab.path / name, "--formation-secret-file",
                                   self.lab.secret_file], capture_output=True, text=True)

        broken = self.lab.path / "broken.backup"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        broken.write_bytes(content)
        done = restore(broken, "c")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("damaged", done.stderr)
        broken.write_bytes(file.read_bytes()[:-100])
        self.assertIn("ends after", restore(broken, "c").stderr)
        self.assertFalse((self.lab.path / "c" / "peat.mdb").exists())
        done = restore(file, "c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("there already", restore(file, "c").stderr)

        c = self.lab.daemon("c")
        self.assertEqual(c.total("t"), 301)
        self.assertEqual(c.get("t", "d7"), {"n": 7})
        self.assertIsNone(c.get("t", "later"))
        c.put("t", "mine", {})
        c.connect(self.b.id, self.b.bind)
        wait_for(lambda: c.get("t", "later") and self.b.get("t", "mine") is not None, "caught up")
        wait_for(lambda: c.get("t", "d0") is None, "what was deleted since stays so")
        wait_for(lambda: c.heads("t", "busy") == self.b.heads("t", "busy"), "agreed")

    def test_compacting_gives_the_disk_back_what_is_free(self):
        for i in range(400):
            self.a.put("t", f"d{i}", {"text": f"{i}" * 2000})
        for i in range(400):
            self.a.delete("t", f"d{i}")
        self.a.put("t", "kept", {"n": 1})
        before = (self.a.data / "peat.mdb").stat().st_size
        answer = json.loads(self.good("store", "compact"))
        after = (self.a.data / "peat.mdb").stat().st_size
        self.assertLess(answer["bytes_after"], answer["bytes_before"] // 2)
        self.assertLess(after, before)
        self.assertEqual(self.a.get("t", "kept"), {"n": 1})
        self.a.put("t", "new", {})
        self.assertEqual(self.a.stop(), 0)
        self.a.start()
        self.assertEqual(self.a.total("t"), 2)
        self.in_agreement()


if __name__ == "__main__":
    unittest.main()
