"""Our daemon and the reference implementation (peat-mesh 0.6.0) keep documents in agreement.

The reference peer synchronises when it is told to ("sync", "sync_all"), never by itself; ours does
so on every change. Four kinds of reference peer: with and without formation handshake, with and
without its persistent channels.
"""

import sys
import time
import unittest

sys.path.insert(0, __file__.rsplit("/", 3)[0] + "/support")
from lab import LabTest, require_refpeer, wait_for  # noqa: E402

OPEN = ["--allow-unauthenticated-peers"]


class ReferencePeer(LabTest):
    @classmethod
    def setUpClass(cls):
        require_refpeer()

    # -- who dials, and how they prove membership ------------------------------------------------

    def pair(self, ours_dials=True, formation=False, channels=False):
        flags = (["--formation-auth"] if formation else []) + (["--channels"] if channels else [])
        ref = self.lab.refpeer("ref", flags)
        auth = "" if formation else ",auth=none"
        ours = self.lab.daemon("ours", peers=[ref.address + auth] if ours_dials else [],
                               arguments=[] if formation else OPEN)
        if not ours_dials:
            ref.run("connect", id=ours.id, addr=ours.bind)
        wait_for(lambda: ref.id in ours.connected(), "our node lists the reference peer")
        wait_for(lambda: ours.id in ref.run("peers")["peers"], "the reference peer lists ours")
        return ours, ref

    def exchange(self, ours, ref):
        """Documents created, edited and deleted on either side arrive on the other."""
        ours.put("contact_reports", "c1", {"name": "alpha", "pos": {"lat": 1.5, "lon": -2}, "n": 1})
        wait_for(lambda: ref.get("contact_reports", "c1"), "a document of ours is at the reference")
        self.assertEqual(ref.get("contact_reports", "c1"), ours.get("contact_reports", "c1"))

        ref.put("contact_reports", "c2", {"from": "ref", "list": [1, "two", None, True, 3.5]})
        ref.run("sync", key="contact_reports:c2")
        wait_for(lambda: ours.get("contact_reports", "c2"), "a document of the reference is here")
        self.assertEqual(ours.get("contact_reports", "c2"),
                         {"from": "ref", "list": [1, "two", None, True, 3.5]})
        self.assertEqual(ours.heads("contact_reports", "c2"), ref.heads("contact_reports", "c2"))

        ours.patch("contact_reports", "c2", {"seen": "by ours"})
        wait_for(lambda: (ref.get("contact_reports", "c2") or {}).get("seen"), "our edit is there")
        ref.put("contact_reports", "c1", {"name": "bravo", "pos": {"lat": 1.5, "lon": -2}, "n": 2})
        ref.run("sync", key="contact_reports:c1")
        wait_for(lambda: ours.get("contact_reports", "c1")["name"] == "bravo", "their edit is here")

        ours.put("tracks", "t1", {"speed": 12})
        wait_for(lambda: ref.get("tracks", "t1"), "a latest-only document arrives (snapshot)")
        ref.put("tracks", "t2", {"speed": 7})
        ref.run("sync", key="tracks:t2")
        wait_for(lambda: ours.get("tracks", "t2"), "a latest-only document of theirs arrives")

        ours.delete("tracks", "t2")
        wait_for(lambda: ref.get("tracks", "t2") is None, "our deletion is carried out there")
        ref.run("delete", collection="tracks", id="t1", lamport=9)
        wait_for(lambda: ours.get("tracks", "t1") is None, "their deletion is carried out here")

        ours.put("tracks", "t2", {"speed": 8, "again": True})
        wait_for(lambda: ref.get("tracks", "t2"), "a re-created document reaches it as a snapshot")

    def test_we_dial_without_authentication(self):
        self.exchange(*self.pair())

    def test_it_dials_without_authentication(self):
        self.exchange(*self.pair(ours_dials=False))

    def test_we_dial_with_formation_handshake_variant_a(self):
        self.exchange(*self.pair(formation=True))

    def test_we_dial_a_peer_with_persistent_channels(self):
        self.exchange(*self.pair(channels=True))

    def test_it_dials_with_persistent_channels(self):
        self.exchange(*self.pair(ours_dials=False, channels=True))

    def test_we_dial_with_formation_handshake_and_channels(self):
        self.exchange(*self.pair(formation=True, channels=True))

    def test_an_unauthenticated_peer_is_refused_unless_allowed(self):
        ref = self.lab.refpeer("ref")
        ours = self.lab.daemon("ours")
        ours.put("alerts", "a1", {"secret": True})
        ref.run("connect", id=ours.id, addr=ours.bind)
        ref.put("alerts", "a2", {"forged": True})
        try:
            ref.run("sync", key="alerts:a2")
        except AssertionError:
            pass  # the connection may be gone already
        time.sleep(3)
        self.assertIsNone(ours.get("alerts", "a2"))
        self.assertIsNone(ref.get("alerts", "a1"))
        self.assertEqual(ours.connected(), [])

    # -- many documents, and lives that end ------------------------------------------------------

    def test_a_thousand_documents_each_way(self):
        ours, ref = self.pair()
        ref.run("fill", prefix="contact_reports:r", count=1000, bytes=300)
        for i in range(1000):
            ours.put("alerts", f"o{i}", {"i": i})
        # Its document-by-document sync gives up after about 100 (its rate limit); batches pass.
        ref.run("sync_batch", prefix="contact_reports:")
        wait_for(lambda: ours.total("contact_reports") == 1000, "1,000 documents of theirs", 60)
        wait_for(lambda: len(ref.run("list", prefix="alerts:")["keys"]) == 1000,
                 "1,000 documents of ours", 60)
        self.assertEqual(ours.heads("contact_reports", "r999"),
                         ref.heads("contact_reports", "r999"))

    def test_ten_thousand_documents_announced_in_one_batch(self):
        """More than the sync states and answers that are kept for a peer: none is left out."""
        ours, ref = self.pair()
        ref.run("fill", prefix="alerts:r", count=10000, bytes=100)
        ref.run("sync_batch", prefix="alerts:")
        wait_for(lambda: ours.total("alerts") == 10000, "10,000 documents of theirs", 150, 0.2)

    def test_what_exists_before_the_connection_crosses_it(self):
        ref = self.lab.refpeer("ref")
        ref.put("commands", "from-ref", {"v": 1})
        ours = self.lab.daemon("ours", arguments=OPEN)
        ours.put("commands", "from-ours", {"v": 2})
        ours.connect(ref.id, ref.bind, auth="none")
        wait_for(lambda: ref.get("commands", "from-ours"), "ours is pushed on connect")
        ref.run("sync_all")
        wait_for(lambda: ours.get("commands", "from-ref"), "theirs arrives")

    def test_reconnects_after_the_reference_peer_was_killed(self):
        ours, ref = self.pair()
        ours.put("commands", "before", {"v": 1})
        wait_for(lambda: ref.get("commands", "before"), "the first document")
        ref.kill()
        ours.put("commands", "meanwhile", {"v": 2})
        ref.start()
        wait_for(lambda: ref.get("commands", "meanwhile"), "written while it was down", 60)
        ref.put("commands", "after", {"v": 3})
        ref.run("sync", key="commands:after")
        wait_for(lambda: ours.get("commands", "after"), "and data flows back")

    def test_reconnects_after_our_node_was_killed(self):
        ours, ref = self.pair()
        ours.put("commands", "before", {"v": 1})
        wait_for(lambda: ref.get("commands", "before"), "the first document")
        ours.kill()
        ours.start()
        self.assertEqual(ours.get("commands", "before"), {"v": 1})
        wait_for(lambda: ref.id in ours.connected(), "connected again", 60)
        ours.put("commands", "after", {"v": 2})
        wait_for(lambda: ref.get("commands", "after"), "and data flows", 60)

    def test_a_change_of_the_reference_peer_is_relayed_to_our_other_node(self):
        """A reference peer, our node and another of ours in a line (F21)."""
        ours, ref = self.pair()
        far = self.lab.daemon("far", peers=[ours.address])
        wait_for(lambda: ours.id in far.connected(), "our two nodes are connected")
        ref.put("commands", "c", {"v": 1})
        ref.run("sync", key="commands:c")
        wait_for(lambda: far.get("commands", "c") == {"v": 1}, "two hops")
        far.patch("commands", "c", {"w": 2})
        wait_for(lambda: (ref.get("commands", "c") or {}).get("w") == 2, "and two hops back")

    def test_a_converged_pair_writes_nothing(self):
        ours, ref = self.pair()
        ours.put("commands", "c", {"v": 1})
        wait_for(lambda: ref.get("commands", "c"), "the document")
        time.sleep(1)
        before = ref.run("stats")["bytes_received"]
        time.sleep(3)
        after = ref.run("stats")["bytes_received"]
        self.assertEqual(before, after, "documents were sent although nothing changed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
