"""What a daemon weighs: idle, and after ten thousand documents, sent and received."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import LabTest, wait_for  # noqa: E402

IDLE_KIB = 15 * 1024
LOADED_KIB = 40 * 1024
DOCUMENTS = 10000


class Memory(LabTest):
    def test_a_node_stays_small(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        wait_for(lambda: b.connected() == [a.id], "connected")
        for node in (a, b):
            print(f"idle {node.name}: VmRSS {node.memory_kib()} KiB, "
                  f"RssAnon {node.memory_kib('RssAnon')} KiB")
            self.assertLess(node.memory_kib(), IDLE_KIB)
        for begin in range(0, DOCUMENTS, 1000):
            lines = [json.dumps({"id": f"d{i:05}", "text": f"{i:05} " * 140, "n": i})
                     for i in range(begin, begin + 1000)]
            status, _, _ = a.request("POST", "/api/v1/documents/t?key=id", "\n".join(lines),
                                     {"Content-Type": "application/x-ndjson"}, timeout=120)
            self.assertEqual(status, 200)
        wait_for(lambda: b.total("t") == DOCUMENTS, "all on b", seconds=120)
        for node in (a, b):
            wait_for(lambda n=node: n.memory_kib() < LOADED_KIB,
                     f"{node.name} under {LOADED_KIB} KiB", seconds=30)
            print(f"loaded {node.name}: VmRSS {node.memory_kib()} KiB, "
                  f"RssAnon {node.memory_kib('RssAnon')} KiB")


if __name__ == "__main__":
    unittest.main()
