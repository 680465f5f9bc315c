"""The HTTP interface of a real daemon: what clients rely on, and what they must not be able to do."""

import base64
import hashlib
import http.client
import json
import pathlib
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import LabTest, wait_for  # noqa: E402


class Documents(LabTest):
    def setUp(self):
        self.a = self.lab.daemon("a")

    def test_the_etag_is_the_hash_of_the_heads_and_guards_writes(self):
        path = self.a.document_path("t", "x")
        status, headers, text = self.a.request("PUT", path, {"n": 1})
        self.assertEqual(status, 201)
        etag = headers["ETag"]
        heads = b"".join(bytes.fromhex(h) for h in self.a.heads("t", "x"))
        self.assertEqual(etag, '"' + hashlib.sha256(heads).hexdigest()[:32] + '"')
        self.assertEqual(self.a.request("GET", path, headers={"If-None-Match": etag})[0], 304)
        status, headers, _ = self.a.request("PUT", path, {"n": 2}, {"If-Match": etag})
        self.assertEqual(status, 200)
        self.assertNotEqual(headers["ETag"], etag)
        status, _, text = self.a.request("PUT", path, {"n": 3}, {"If-Match": etag})
        self.assertEqual((status, json.loads(text)["code"]), (412, "precondition_failed"))
        self.assertEqual(self.a.request("DELETE", path, headers={"If-Match": etag})[0], 412)
        self.assertEqual(self.a.request("PUT", path, {"n": 4}, {"If-None-Match": "*"})[0], 412)
        self.assertEqual(self.a.get("t", "x"), {"n": 2})

    def test_patch_is_a_merge_patch(self):
        self.a.put("t", "x", {"a": 1, "b": {"c": 2, "d": 3}})
        self.a.patch("t", "x", {"a": None, "b": {"c": 4}, "e": [1]})
        self.assertEqual(self.a.get("t", "x"), {"b": {"c": 4, "d": 3}, "e": [1]})

    def test_delete_then_get_is_404_and_put_makes_it_again(self):
        self.a.put("t", "x", {"a": 1})
        self.a.delete("t", "x")
        status, headers, text = self.a.request("GET", self.a.document_path("t", "x"))
        problem = json.loads(text)
        self.assertEqual(status, 404)
        self.assertEqual(headers["Content-Type"], "application/problem+json")
        self.assertEqual(problem["error"], "document not found: t/x")
        self.assertEqual(problem["status"], 404)
        self.assertEqual(self.a.request("DELETE", self.a.document_path("t", "x"))[0], 404)
        self.assertEqual(self.a.request("PUT", self.a.document_path("t", "x"), {})[0], 201)

    def test_soft_deleted_documents_are_hidden_unless_asked_for(self):
        self.a.put("t", "x", {"_deleted": True, "a": 1})
        self.a.put("t", "y", {"a": 2})
        self.assertIsNone(self.a.get("t", "x"))
        status, _, _ = self.a.request("GET", self.a.document_path("t", "x") + "?deleted=1")
        self.assertEqual(status, 200)
        self.assertEqual(self.a.json("GET", "/api/v1/documents/t")["count"], 1)
        self.assertEqual(self.a.json("GET", "/api/v1/documents/t?deleted=1")["count"], 2)

    def test_listings_page_and_count(self):
        for i in range(150):
            self.a.put("t", f"d{i:03}", {"i": i})
        seen, after = [], ""
        while True:
            page = self.a.json("GET", f"/api/v1/documents/t?limit=40&after={after}")
            self.assertEqual(page["total"], 150)
            self.assertEqual(page["count"], len(page["documents"]))
            seen += [d["_id"] for d in page["documents"]]
            if "next" not in page:
                break
            after = page["next"]
        self.assertEqual(seen, [f"d{i:03}" for i in range(150)])
        empty = self.a.json("GET", "/api/v1/documents/nothing")
        self.assertEqual((empty["count"], empty["total"], empty["documents"]), (0, 0, []))
        self.assertEqual(self.a.json("GET", "/api/v1/documents/t?limit=0")["documents"], [])
        self.assertEqual(self.a.json("GET", "/api/v1/documents/t?prefix=d14")["count"], 10)

    def test_ids_may_hold_slashes_and_colons(self):
        self.a.put("t", "a/b:c ü", {"n": 1})
        self.assertEqual(self.a.get("t", "a/b:c ü"), {"n": 1})
        self.assertEqual(self.a.json("GET", "/api/v1/documents/t")["documents"],
                         [{"_id": "a/b:c ü", "n": 1}])

    def test_history_lists_changes_and_their_dependencies(self):
        self.a.put("t", "x", {"n": 1})
        self.a.patch("t", "x", {"n": 2})
        history = self.a.json("GET", self.a.document_path("t", "x") + "?history=1")
        first, second = history["changes"]
        self.assertEqual(second["deps"], [first["hash"]])
        self.assertEqual(history["heads"], [second["hash"]])

    def test_bulk_import_answers_line_by_line(self):
        lines = [{"k": "a", "n": 1}, {"n": 2}, "no object", {"k": 7}, {"k": "a", "n": 1}]
        body = "\n".join(json.dumps(line) for line in lines) + "\n{broken\n"
        status, headers, text = self.a.request("POST", "/api/v1/documents/t?key=k", body,
                                               {"Content-Type": "application/x-ndjson"})
        self.assertEqual((status, headers["Content-Type"]), (200, "application/x-ndjson"))
        results = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([r["line"] for r in results], [1, 2, 3, 4, 5, 6])
        self.assertEqual([r["status"] for r in results], [201, 400, 400, 201, 200, 400])
        self.assertFalse(results[4]["changed"])
        self.assertEqual(self.a.get("t", "7"), {"k": 7})


class Events(LabTest):
    def follow(self, node, path, count):
        connection = http.client.HTTPConnection(node.api.hostname, node.api.port, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        events = [json.loads(answer.readline()) for _ in range(count)]
        connection.close()
        return events

    def test_events_resume_after_a_position_and_filter(self):
        a = self.lab.daemon("a")
        a.put("t", "x", {"n": 1})
        a.patch("t", "x", {"n": 2})
        a.put("u", "y", {"n": 3})
        a.delete("t", "x")
        events = self.follow(a, "/api/v1/events?after=0", 4)
        self.assertEqual([(e["collection"], e["doc_id"], e["action"]) for e in events],
                         [("t", "x", "insert"), ("t", "x", "update"), ("u", "y", "insert"),
                          ("t", "x", "delete")])
        later = self.follow(a, f"/api/v1/events?after={events[1]['seq']}&collection=u", 1)
        self.assertEqual(later, [events[2]])

    def test_a_position_older_than_the_log_begins_with_a_gap(self):
        a = self.lab.daemon("a")
        for n in range(3):
            a.put("t", "x", {"n": n})
        a.put("t", "y", {})
        a.stop()
        a.start()
        events = self.follow(a, "/api/v1/events?after=0", 3)
        self.assertEqual([e["type"] for e in events], ["gap", "SyncEvent", "SyncEvent"])
        self.assertEqual([e["doc_id"] for e in events[1:]], ["x", "y"])

    def test_changes_of_peers_say_whom_they_came_from(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        b.put("t", "x", {"n": 1})
        wait_for(lambda: a.get("t", "x"), "x on a")
        event = self.follow(a, "/api/v1/events?after=0&collection=t", 1)[0]
        self.assertEqual((event["action"], event["origin"]), ("merge", b.id))

    def test_followers_hear_of_peers(self):
        a = self.lab.daemon("a")
        connection = http.client.HTTPConnection(a.api.hostname, a.api.port, timeout=20)
        connection.request("GET", "/api/v1/events")
        answer = connection.getresponse()
        b = self.lab.daemon("b", peers=[a.address])
        self.assertEqual(json.loads(answer.readline()) | {"seq": 0},
                         {"seq": 0, "type": "PeerConnected", "peer_id": b.id})
        b.stop()
        self.assertEqual(json.loads(answer.readline())["type"], "PeerDisconnected")
        connection.close()


class Guards(LabTest):
    def setUp(self):
        self.a = self.lab.daemon("a")

    def test_a_foreign_host_or_origin_gets_403(self):
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{self.a.api.port}"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Origin": f"https://127.0.0.1:{self.a.api.port}"}):
            for method, path in (("GET", "/api/v1/health"), ("GET", "/metrics"),
                                 ("DELETE", "/api/v1/documents/t/x")):
                self.assertEqual(self.a.request(method, path, headers=headers)[0], 403, headers)
        own = {"Origin": f"http://127.0.0.1:{self.a.api.port}"}
        self.assertEqual(self.a.request("GET", "/api/v1/health", headers=own)[0], 200)

    def test_a_write_needs_a_media_type_that_no_form_can_send(self):
        path = self.a.document_path("t", "x")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            self.assertEqual(self.a.request("PUT", path, "{}", {"Content-Type": kind})[0], 415)
            self.assertEqual(self.a.request("POST", "/api/v1/peers", "{}",
                                            {"Content-Type": kind})[0], 415)
        self.assertIsNone(self.a.get("t", "x"))

    def test_methods_and_paths_are_answered_for(self):
        status, headers, _ = self.a.request("POST", "/api/v1/health")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        for path in ("/", "/api/v1", "/api/v1/health/", "/api/v2/health", "/api/v1/documents/t/x/y"):
            self.assertEqual(self.a.request("GET", path)[0], 404, path)
        status, headers, text = self.a.request("HEAD", "/api/v1/health")
        self.assertEqual((status, text), (200, ""))

    def test_malformed_json_and_deep_json_are_400(self):
        path = self.a.document_path("t", "x")
        for body in ("{", "[]", "7", "{\"a\":" * 65 + "1" + "}" * 65, b"{\"a\":\"\xff\"}"):
            self.assertEqual(self.a.request("PUT", path, body)[0], 400, body[:20])
        self.assertEqual(self.a.request("PUT", path, "{\"a\":" * 64 + "1" + "}" * 64)[0], 201)

    def test_a_body_over_64_mib_is_413(self):
        connection = http.client.HTTPConnection(self.a.api.hostname, self.a.api.port, timeout=20)
        connection.putrequest("PUT", self.a.document_path("t", "x"))
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str((64 << 20) + 1))
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 413)
        connection.close()

    def test_f24_a_client_that_sends_no_header_is_let_go(self):
        begin = time.monotonic()
        with socket.create_connection((self.a.api.hostname, self.a.api.port), timeout=30) as client:
            client.sendall(b"GET /api/v1/health HTTP/1.1\r\n")
            self.assertEqual(client.recv(100), b"")
        self.assertLess(time.monotonic() - begin, 25)

    def test_one_client_too_many_is_told_503_and_the_others_go_on(self):
        address = (self.a.api.hostname, self.a.api.port)
        idle = [socket.create_connection(address, timeout=10) for _ in range(128)]
        wait_for(lambda: self.is_full(address), "the 129th client is turned away")
        for client in idle:
            client.close()
        wait_for(lambda: self.a_request_passes(), "served again")

    def is_full(self, address):
        with socket.create_connection(address, timeout=10) as client:
            client.settimeout(0.5)
            try:
                return client.recv(100).startswith(b"HTTP/1.1 503")
            except OSError:
                return False

    def a_request_passes(self):
        try:
            return self.a.request("GET", "/api/v1/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


class Status(LabTest):
    def test_the_shapes_of_older_clients_are_kept(self):
        a = self.lab.daemon("a")
        self.assertEqual(a.json("GET", "/api/v1/health"), {"status": "healthy", "node_id": "a"})
        ready = a.json("GET", "/api/v1/ready")
        self.assertEqual((ready["ready"], ready["node_id"]), (True, "a"))
        self.assertEqual({"name", "ready", "message"}, set(ready["checks"][0]))
        node = a.json("GET", "/api/v1/node")
        self.assertLessEqual({"node_id", "uptime_secs", "version"}, set(node))
        self.assertEqual(a.json("GET", "/api/v1/peers"), {"peers": [], "count": 0})

    def test_peers_are_added_shown_and_removed(self):
        a, b = self.lab.daemon("a"), self.lab.daemon("b")
        status, _, text = a.request("POST", "/api/v1/peers", {"id": b.id, "addr": b.bind})
        self.assertEqual(status, 201)
        self.assertLessEqual({"id", "connected", "state", "rtt_ms"}, set(json.loads(text)))
        wait_for(lambda: a.connected() == [b.id], "connected")
        self.assertEqual(a.json("GET", f"/api/v1/peers/{b.id}")["source"], "api")
        self.assertEqual(a.request("DELETE", f"/api/v1/peers/{b.id}")[0], 200)
        self.assertEqual(a.request("GET", f"/api/v1/peers/{b.id}")[0], 404)
        self.assertEqual(a.request("DELETE", f"/api/v1/peers/{b.id}")[0], 404)

    def test_f27_the_peer_list_says_why_nothing_arrives(self):
        a = self.lab.daemon("a")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            silent = f"127.0.0.1:{nobody.getsockname()[1]}"
            ours = self.lab.secret_file.read_text()
            another = base64.b64encode(hashlib.sha256(b"another mesh").digest()).decode()
            self.lab.secret_file.write_text(another)
            stranger = self.lab.daemon("stranger")
            self.lab.secret_file.write_text(ours)
            impostor = self.lab.daemon("impostor")
            absent, wrong = "ab" * 32, "cd" * 32
            a.connect(absent, silent)
            a.connect(stranger.id, stranger.bind)
            a.connect(wrong, impostor.bind)
            a.put("t", "x", {"n": 1})

            def reason(id):
                peer = a.json("GET", f"/api/v1/peers/{id}")
                self.assertFalse(peer["connected"])
                return peer["last_error"] if peer["failures"] else ""

            self.assertIn(silent, wait_for(lambda: reason(absent), "a reason for the silent one"))
            self.assertIn("formation", wait_for(lambda: reason(stranger.id), "for the stranger"))
            self.assertIn(impostor.id, wait_for(lambda: reason(wrong), "for the impostor"))
            self.assertEqual(a.json("GET", f"/api/v1/peers/{absent}")["state"], "backoff")

    def test_f27_a_document_that_a_peer_does_not_take_is_named_with_its_reason(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address],
                            arguments=["--collection", "archive:delete=immutable"])
        a.put("archive", "x", {"n": 1})
        wait_for(lambda: b.get("archive", "x"), "x on b")
        a.delete("archive", "x")
        peer = wait_for(lambda: next((p for p in b.json("GET", "/api/v1/peers")["peers"]
                                      if p["faults"]), None), "a fault")
        self.assertEqual(peer["faults"][0]["key"], "archive:x")
        self.assertIn("immutable", peer["faults"][0]["reason"])
        self.assertEqual(b.get("archive", "x"), {"n": 1})

    def test_bad_peers_are_refused(self):
        a = self.lab.daemon("a")
        for body in ({"id": a.id, "addr": a.bind}, {"id": "zz", "addr": "h:1"}, {"id": a.id},
                     {"id": "ab" * 32, "addr": "h"}, {"id": "ab" * 32, "addr": "h:1", "auth": "x"},
                     {"id": "ab" * 32, "addr": "h:1", "more": "x"}):
            self.assertEqual(a.request("POST", "/api/v1/peers", body)[0], 400, body)

    def test_metrics_count_what_happens(self):
        a = self.lab.daemon("a")
        b = self.lab.daemon("b", peers=[a.address])
        a.put("t", "x", {"n": 1})
        wait_for(lambda: b.get("t", "x"), "x on b")
        metrics = a.metrics()
        self.assertEqual(metrics["peat_documents"], 1)
        self.assertGreaterEqual(metrics["peat_store_commits_total"], 1)
        self.assertGreaterEqual(metrics["peat_http_requests_total"], 2)
        self.assertEqual(metrics[f'peat_peer_connected{{peer="{b.id}"}}'], 1)
        wait_for(lambda: a.metrics()[f'peat_peer_lag{{peer="{b.id}"}}'] == 0, "no lag in the end")


if __name__ == "__main__":
    unittest.main()
