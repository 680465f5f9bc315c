"""Real daemons on loopback: documents agree, deletions stay, restarts lose nothing."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import LabTest, wait_for  # noqa: E402


class TwoNodes(LabTest):
    def pair(self, **kwargs):
        a = self.lab.daemon("a", **kwargs)
        b = self.lab.daemon("b", peers=[a.address], **kwargs)
        wait_for(lambda: a.connected() == [b.id] and b.connected() == [a.id], "a and b connected")
        return a, b

    def agree(self, nodes, collection, id):
        return wait_for(
            lambda: len({str(n.heads(collection, id)) if n.get(collection, id) is not None
                         else n.name for n in nodes}) == 1, f"{collection}/{id} agreed")

    def test_documents_travel_both_ways(self):
        a, b = self.pair()
        a.put("trucks", "t1", {"driver": "Ada"})
        b.put("trucks", "t2", {"driver": "Grace"})
        wait_for(lambda: b.get("trucks", "t1") == {"driver": "Ada"}, "t1 on b")
        wait_for(lambda: a.get("trucks", "t2") == {"driver": "Grace"}, "t2 on a")

    def test_documents_travel_between_nodes_that_speak_the_old_protocol(self):
        a, b = self.pair(arguments=["--native-protocol", "false"])
        a.put("trucks", "t1", {"driver": "Ada"})
        wait_for(lambda: b.get("trucks", "t1") == {"driver": "Ada"}, "t1 on b")
        self.assertEqual([p["dialect"] for p in b.json("GET", "/api/v1/peers")["peers"]],
                         ["cap/automerge/1"])

    def test_edits_made_apart_both_survive(self):
        a, b = self.pair()
        a.put("trucks", "t1", {"driver": "Ada", "fuel": 80})
        wait_for(lambda: b.get("trucks", "t1"), "t1 on b")
        b.disconnect(a.id)
        wait_for(lambda: not a.connected(), "the link cut")
        a.patch("trucks", "t1", {"driver": "Grace"})
        b.patch("trucks", "t1", {"fuel": 35})
        b.connect(a.id, a.bind)
        for node in (a, b):
            wait_for(lambda n=node: n.get("trucks", "t1") == {"driver": "Grace", "fuel": 35},
                     f"merged on {node.name}")
        self.agree([a, b], "trucks", "t1")

    def test_put_leaves_a_field_alone_that_it_does_not_change(self):
        a, b = self.pair()
        a.put("trucks", "t1", {"driver": "Ada", "fuel": 80})
        wait_for(lambda: b.get("trucks", "t1"), "t1 on b")
        b.disconnect(a.id)
        wait_for(lambda: not a.connected(), "the link cut")
        a.put("trucks", "t1", {"driver": "Ada", "fuel": 10})
        b.put("trucks", "t1", {"driver": "Grace", "fuel": 80})
        b.connect(a.id, a.bind)
        wait_for(lambda: a.get("trucks", "t1") == {"driver": "Grace", "fuel": 10}, "both edits")

    def test_a_deletion_reaches_a_node_that_was_away_and_stays(self):
        a, b = self.pair()
        a.put("trucks", "t1", {"driver": "Ada"})
        wait_for(lambda: b.get("trucks", "t1"), "t1 on b")
        b.stop()
        a.delete("trucks", "t1")
        self.assertIsNone(a.get("trucks", "t1"))
        b.start()
        wait_for(lambda: b.get("trucks", "t1") is None, "t1 gone from b")
        self.assertIsNone(a.get("trucks", "t1"))

    def test_a_document_put_again_after_its_deletion_lives(self):
        a, b = self.pair()
        a.put("trucks", "t1", {"driver": "Ada"})
        wait_for(lambda: b.get("trucks", "t1"), "t1 on b")
        a.delete("trucks", "t1")
        wait_for(lambda: b.get("trucks", "t1") is None, "t1 gone from b")
        b.put("trucks", "t1", {"driver": "Grace"})
        wait_for(lambda: a.get("trucks", "t1") == {"driver": "Grace"}, "t1 back on a")

    def test_a_change_passes_through_the_node_in_between(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        c = self.lab.daemon("c", peers=[b.address])
        a.put("trucks", "t1", {"driver": "Ada"})
        wait_for(lambda: c.get("trucks", "t1") == {"driver": "Ada"}, "t1 on c")
        c.patch("trucks", "t1", {"driver": "Grace"})
        wait_for(lambda: a.get("trucks", "t1") == {"driver": "Grace"}, "c's edit on a")
        self.agree([a, b, c], "trucks", "t1")

    def test_another_formation_is_kept_out(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address], arguments=["--formation-id", "other"])
        wait_for(lambda: b.json("GET", f"/api/v1/peers/{a.id}")["failures"] >= 1, "b refused")
        self.assertEqual(a.connected(), [])


class Restarts(LabTest):
    def test_f23_static_peers_find_each_other_after_restarts(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        wait_for(lambda: b.connected() == [a.id], "connected")
        for node in (a, b):
            before = node.id
            self.assertEqual(node.stop(), 0)
            node.start()
            self.assertEqual(node.id, before)
            wait_for(lambda: b.connected() == [a.id] and a.connected() == [b.id], "again")

    def test_a_peer_added_by_the_interface_is_dialled_after_a_restart(self):
        a, b = self.lab.daemon("a"), self.lab.daemon("b")
        b.connect(a.id, a.bind)
        wait_for(lambda: b.connected() == [a.id], "connected")
        b.stop()
        b.start()
        wait_for(lambda: b.connected() == [a.id], "connected again without being told")
        b.disconnect(a.id)
        b.stop()
        b.start()
        self.assertEqual(b.json("GET", "/api/v1/peers")["count"], 0)

    def test_kill_9_loses_nothing_that_was_acknowledged(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        wait_for(lambda: b.connected() == [a.id], "connected")
        for round in range(5):
            for i in range(20):
                a.put("trucks", f"t{i}", {"round": round, "i": i})
            a.kill()
            a.start()
            for i in range(20):
                self.assertEqual(a.get("trucks", f"t{i}"), {"round": round, "i": i})
        # An idle peer learns of the restart by its next keep-alive.
        wait_for(lambda: b.get("trucks", "t19") == {"round": 4, "i": 19}, "b has the last round")
        b.patch("trucks", "t0", {"from": "b"})
        wait_for(lambda: (a.get("trucks", "t0") or {}).get("from") == "b", "b's edit on a")

    def test_sighup_adds_and_drops_peers(self):
        import signal
        a = self.lab.daemon("a")
        config = self.lab.path / "b.toml"
        config.write_text("schema_version = 1\n")
        b = self.lab.daemon("b", arguments=["--config", config])
        config.write_text(f'schema_version = 1\npeers = ["{a.address}"]\n[log]\nlevel = "warn"\n')
        b.process.send_signal(signal.SIGHUP)
        wait_for(lambda: b.connected() == [a.id], "connected after SIGHUP")
        config.write_text("schema_version = 1\n")
        b.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not a.connected(), "dropped after SIGHUP")
        config.write_text("schema_version = 1\nnonsense = 1\n")
        b.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload refused" in b.log(), "a bad file is refused and logged")
        self.assertEqual(b.request("GET", "/api/v1/health")[0], 200)


if __name__ == "__main__":
    unittest.main()
