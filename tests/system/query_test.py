"""Queries of a real daemon: the guide's examples, the HTTP interface, restarts."""

import base64
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN, LabTest, wait_for  # noqa: E402

GUIDE = pathlib.Path(__file__).parent.parent.parent / "docs" / "query.md"


def query(node, text, **parameters):
    return node.json("GET", "/api/v1/query?" + urllib.parse.urlencode({"q": text} | parameters))


class Guide(LabTest):
    def test_every_command_of_the_guide_finds_what_it_says(self):
        a = self.lab.daemon("a")
        text = GUIDE.read_text()
        env = os.environ | {"PEAT_API": f"http://{a.api.netloc}",
                            "PATH": f"{BIN.absolute()}:{os.environ['PATH']}"}
        commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S)
                    for line in block.splitlines() if line.startswith("peat ")]
        self.assertGreater(len(commands), 20)
        for line in commands:
            done = subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 0, line + done.stderr)
            said = re.search(r"  +# (.*)$", line)
            if said:
                found = [d["_id"] for d in json.loads(done.stdout)["documents"]]
                self.assertEqual(found, said.group(1).split(), line)
        for body in re.findall(r"```http\nPOST /api/v1/query\n(.*?)```", text, re.S):
            found = a.json("POST", "/api/v1/query", body)
            self.assertEqual([d["_id"] for d in found["documents"]], ["t2", "t1"])


class Indexes(LabTest):
    ARGUMENTS = ("--collection", "t:index=n,index=pos.lat")

    def fill(self, node, count, first=0):
        lines = "\n".join(json.dumps({"id": f"d{i:05}", "n": i, "pos": {"lat": i / 1000, "lon": 4}})
                          for i in range(first, first + count))
        status, _, text = node.request("POST", "/api/v1/documents/t?key=id", lines,
                                       {"Content-Type": "application/x-ndjson"})
        self.assertEqual(status, 200)

    def indexed(self, node, text):
        return wait_for(lambda: (lambda a: a if "index" in a else None)(query(node, text)),
                        "the index is used")

    def test_an_index_is_a_setting_and_answers_what_a_scan_answers(self):
        a = self.lab.daemon("a", arguments=self.ARGUMENTS)
        self.fill(a, 2000)
        found = self.indexed(a, "from t where n between 100 and 102")
        self.assertEqual(found["index"], "n")
        self.assertEqual([d["_id"] for d in found["documents"]], ["d00100", "d00101", "d00102"])
        self.assertLessEqual(found["examined"], 4)
        found = self.indexed(a, "from t order by n desc limit 2")
        self.assertEqual([d["n"] for d in found["documents"]], [1999, 1998])
        self.assertLess(found["examined"], 100)
        found = self.indexed(a, "from t where pos within 60 m of 1.5, 4")
        self.assertEqual([d["n"] for d in found["documents"]], [1500])

    def test_what_a_peer_sends_is_indexed_too(self):
        a = self.lab.daemon("a", arguments=self.ARGUMENTS)
        b = self.lab.daemon("b", peers=[a.address])
        self.fill(b, 500)
        wait_for(lambda: a.total("t") == 500, "all on a")
        self.assertEqual(self.indexed(a, "from t where n = 77")["documents"][0]["_id"], "d00077")

    def test_a_killed_node_has_its_indexes_and_they_are_right(self):
        a = self.lab.daemon("a", arguments=self.ARGUMENTS)
        for round in range(6):
            self.fill(a, 300, round * 200)  # some again, some new
            a.patch("t", f"d{round * 100:05}", {"n": -round})
            a.delete("t", f"d{round * 100 + 1:05}")
            if round % 2:
                query(a, "from t where n < 0")  # in the middle of following
            a.kill()
            a.start()
            for text in ("from t where n <= 0", "from t where n between 150 and 180",
                         "from t where n in (1, 101, 201, 301, 401)"):
                indexed = self.indexed(a, text)
                scanned = query(a, text.replace("where ", "where not not (") + ")")
                self.assertNotIn("index", scanned)
                self.assertEqual(indexed["documents"], scanned["documents"], text)

    def test_sighup_makes_and_drops_indexes(self):
        config = self.lab.path / "node.toml"
        config.write_text("schema_version = 1\n")
        a = self.lab.daemon("a", arguments=("--config", config))
        self.fill(a, 300)
        self.assertNotIn("index", query(a, "from t where n = 7"))
        config.write_text('schema_version = 1\ncollections = ["t:index=n"]\n')
        a.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.indexed(a, "from t where n = 7")["index"], "n")
        config.write_text("schema_version = 1\n")
        a.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "index" not in query(a, "from t where n = 7"), "the index is gone")


    def test_an_encrypted_store_refuses_an_index_and_says_why(self):
        key = self.lab.path / "key"
        key.write_text(base64.b64encode(bytes(range(32))).decode() + "\n")
        key.chmod(0o600)
        with self.assertRaisesRegex(AssertionError, "index=n: this store is encrypted"):
            self.lab.daemon("a", arguments=("--store-key-file", key, *self.ARGUMENTS))


class Follower:
    """A live query over HTTP."""

    def __init__(self, node, text, resume=None):
        parameters = {"q": text, "live": 1} | ({"resume": resume} if resume else {})
        self.connection = http.client.HTTPConnection(node.api.hostname, node.api.port, timeout=20)
        self.connection.request("GET", "/api/v1/query?" + urllib.parse.urlencode(parameters))
        self.answer = self.connection.getresponse()

    def lines(self, count):
        return [json.loads(self.answer.readline()) for _ in range(count)]

    def until_complete(self):
        lines = self.lines(1)
        while lines[-1]["type"] != "complete":
            lines += self.lines(1)
        return lines

    def close(self):
        self.answer.close()
        self.connection.close()


def short(line):
    return line["type"], line.get("id") or line.get("document", {}).get("_id")


class Live(LabTest):
    def test_a_follower_gets_the_answer_and_what_becomes_of_it_from_peers_too(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        a.put("t", "x", {"n": 5})
        follower = Follower(a, "from t where n > 3")
        self.assertEqual([short(line) for line in follower.until_complete()],
                         [("enter", "x"), ("complete", None)])
        b.put("t", "y", {"n": 9})
        self.assertEqual([short(line) for line in follower.lines(1)], [("enter", "y")])
        b.patch("t", "y", {"n": 10})
        line = follower.lines(1)[0]
        self.assertEqual((short(line), line["document"]["n"]), (("update", "y"), 10))
        b.delete("t", "y")
        line = follower.lines(1)[0]
        self.assertEqual(short(line), ("leave", "y"))
        follower.close()
        a.put("t", "z", {"n": 4})
        a.patch("t", "x", {"n": 0})
        a.stop()
        a.start()
        follower = Follower(a, "from t where n > 3", line["resume"])
        self.assertEqual(sorted(short(line) for line in follower.until_complete()[:-1]),
                         [("enter", "z"), ("leave", "x")])
        follower.close()

    def test_a_live_query_that_cannot_be_is_refused(self):
        a = self.lab.daemon("a")
        for q, resume in (("from t limit 5", None), ("from t", "nonsense"), ("from", None)):
            follower = Follower(a, q, resume)
            self.assertEqual(follower.answer.status, 400)
            follower.close()

    def test_a_stop_of_the_node_ends_its_followers(self):
        a = self.lab.daemon("a")
        follower = Follower(a, "from t")
        follower.until_complete()
        self.assertEqual(a.stop(), 0)
        self.assertEqual(follower.answer.readline(), b"")
        follower.close()


class Http(LabTest):
    def setUp(self):
        self.a = self.lab.daemon("a")
        lines = "\n".join(json.dumps({"id": f"d{i:03}", "n": i, "mod": i % 7}) for i in range(300))
        self.a.request("POST", "/api/v1/documents/t?key=id", lines,
                       {"Content-Type": "application/x-ndjson"})

    def test_pages_go_on_where_they_ended_also_after_a_restart(self):
        seen, token, text = [], {}, "from t where mod = 3 order by n desc limit 10"
        while True:
            page = query(self.a, text, show="ids", **token)
            seen += page["ids"]
            if "next" not in page:
                break
            token = {"page": page["next"]}
            self.a.stop()
            self.a.start()
        self.assertEqual(seen, [f"d{i:03}" for i in range(299, -1, -1) if i % 7 == 3])

    def test_a_token_of_another_query_or_of_nobody_is_refused(self):
        token = query(self.a, "from t limit 5")["next"]
        for text, page in (("from t limit 6", token), ("from t limit 5", token[:-2] + "AA"),
                           ("from t limit 5", "nonsense")):
            target = "/api/v1/query?" + urllib.parse.urlencode({"q": text, "page": page})
            status, _, answer = self.a.request("GET", target)
            self.assertEqual((status, json.loads(answer)["code"]), (400, "invalid_argument"))

    def test_what_is_wrong_with_a_query_is_said_with_its_place(self):
        for method, path, body in (
                ("GET", "/api/v1/query", None),
                ("GET", "/api/v1/query?q=from%20t%20where%20n%20%3E", None),
                ("GET", "/api/v1/query?q=from%20t&show=nothing", None),
                ("POST", "/api/v1/query", "{"), ("POST", "/api/v1/query", {"from": "t", "wher": 1})):
            self.assertEqual(self.a.request(method, path, body)[0], 400, path)
        problem = json.loads(self.a.request("GET", "/api/v1/query?q=from%20t%20where%20n%20%3E")[2])
        self.assertIn("column 17", problem["error"])

    def test_a_query_reads_what_it_needs(self):
        self.assertEqual(query(self.a, "from t where _id = 'd007'")["examined"], 1)
        self.assertEqual(query(self.a, "from t limit 5")["examined"], 5)
        self.assertEqual(query(self.a, "from t where n < 5")["examined"], 300)

    def test_the_command_refuses_a_bad_query_without_a_node(self):
        done = subprocess.run([BIN / "peat", "--api", "http://127.0.0.1:1", "query", "from t wher"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 4)
        self.assertIn("column 8", done.stderr)


if __name__ == "__main__":
    unittest.main()
