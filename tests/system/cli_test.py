"""The peat command against a real daemon: output, exit codes, imports."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN, LabTest, wait_for  # noqa: E402


class Cli(LabTest):
    def setUp(self):
        self.a = self.lab.daemon("a")

    def peat(self, *arguments, stdin=None, api=None):
        env = os.environ | {"PEAT_API": api or f"http://{self.a.api.netloc}"}
        return subprocess.run([BIN / "peat", *map(str, arguments)], input=stdin, env=env,
                              capture_output=True, text=True, timeout=60)

    def good(self, *arguments, **kwargs):
        done = self.peat(*arguments, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def file(self, name, text):
        path = self.lab.path / name
        path.write_text(text)
        return path

    def test_documents_are_put_read_updated_listed_and_deleted(self):
        self.good("put", "t/x", '{"driver": "Ada", "pos": {"lat": 1}}')
        self.good("put", "t/y", "--from", "-", stdin='{"driver": "Grace"}')
        self.good("update", "t/x", "--set", "pos.lat=52.2", "--set", "name=seven", "--unset",
                  "driver")
        self.assertEqual(json.loads(self.good("get", "t/x")),
                         {"pos": {"lat": 52.2}, "name": "seven"})
        self.assertEqual([d["_id"] for d in json.loads(self.good("list", "t"))["documents"]],
                         ["x", "y"])
        self.assertEqual(json.loads(self.good("list"))["collections"],
                         [{"collection": "t", "documents": 2}])
        self.good("delete", "t/x")
        self.assertEqual(self.peat("get", "t/x").returncode, 4)

    def test_conflicts_are_shown_by_both_nodes_and_settled_from_one(self):
        b = self.lab.daemon("b", [self.a.address])
        b_api = f"http://{b.api.netloc}"
        self.good("put", "t/x", '{"driver": "Ada", "a.b": 1, "items": [{"n": 1}], "pos": {"lat": 1}}')
        wait_for(lambda: b.get("t", "x") and self.a.connected(), "both have it")
        b.disconnect(self.a.id)
        wait_for(lambda: not self.a.connected(), "apart")
        self.good("update", "t/x", "--set", "driver=Grace", "--set", "pos.lat=2", "--set",
                  "/a.b=2", "--set", 'items=[{"n": 2}]')
        self.good("update", "t/x", "--set", "driver=Edsger", "--set", "pos.lat=3", "--set",
                  "/a.b=3", "--set", 'items=[{"n": 3}]', api=b_api)
        b.connect(self.a.id, self.a.bind)
        wait_for(lambda: self.a.heads("t", "x") == b.heads("t", "x"), "agreed")

        answers = [json.loads(self.good("get", "t/x", "--conflicts", api=api))
                   for api in (None, b_api)]
        self.assertEqual(answers[0], answers[1])
        conflicts = {json.dumps(c["path"]): c for c in answers[0]["conflicts"]}
        self.assertEqual(sorted(conflicts), ['["a.b"]', '["driver"]', '["items", 0, "n"]',
                                             '["pos", "lat"]'])
        driver = conflicts['["driver"]']
        self.assertEqual(len(driver["others"]), 1)
        self.assertEqual({answers[0]["document"]["driver"], driver["others"][0]["value"]},
                         {"Grace", "Edsger"})
        actors = {c["actor"]: c["time"] for c in (driver["winner"], *driver["others"])}
        self.assertEqual(len(actors), 2, "two nodes wrote it")
        history = {c["hash"]: c for c in json.loads(self.good("get", "t/x", "--history"))["changes"]}
        for made in (driver["winner"], *driver["others"]):
            self.assertEqual(history[made["change"]]["actor"], made["actor"])
            self.assertEqual(history[made["change"]]["time"], made["time"])
        table = self.good("--output", "table", "get", "t/x", "--conflicts")
        for word in ("Grace", "Edsger", "items.0.n", "pos.lat", "/a.b", "lost"):
            self.assertIn(word, table)

        # All or none: one of them is no conflict.
        done = self.peat("update", "t/x", "--resolve", "driver=Grace", "--resolve", "pos=1")
        self.assertEqual(done.returncode, 4)
        self.assertIn('["pos"]', done.stderr)
        self.assertEqual(self.peat("update", "t/x", "--resolve", "driver=A", "--set", "b=1").returncode,
                         4)
        before = len(history)
        self.good("update", "t/x", "--resolve", "driver=Grace", "--resolve", "items.0.n=2",
                  "--resolve", "/a.b=3", "--resolve", "pos.lat=2.5")
        wait_for(lambda: self.a.heads("t", "x") == b.heads("t", "x"), "agreed again")
        for api in (None, b_api):
            answer = json.loads(self.good("get", "t/x", "--conflicts", api=api))
            self.assertEqual(answer["conflicts"], [])
            self.assertEqual(answer["document"], {"driver": "Grace", "a.b": 3, "items": [{"n": 2}],
                                                  "pos": {"lat": 2.5}})
        changes = json.loads(self.good("get", "t/x", "--history"))["changes"]
        self.assertEqual(len(changes), before + 1, "one change")
        self.assertEqual(self.peat("update", "t/x", "--resolve", "driver=Ada").returncode, 4)
        self.good("delete", "t/x")
        self.assertEqual(self.peat("get", "t/x", "--conflicts").returncode, 4)

    def test_conditions_hold_or_the_exit_code_is_4(self):
        self.good("put", "t/x", "{}", "--if-absent")
        self.assertEqual(self.peat("put", "t/x", "{}", "--if-absent").returncode, 4)
        self.assertEqual(self.peat("put", "t/x", '{"a":1}', "--if-match", "nothing").returncode, 4)
        self.good("put", "t/x", '{"a":1}', "--if-match", "*")

    def test_exit_codes_tell_what_went_wrong(self):
        self.assertEqual(self.peat("status", api="http://127.0.0.1:1").returncode, 1)
        self.assertEqual(self.peat("nonsense").returncode, 4)
        self.assertEqual(self.peat("get", "no-slash").returncode, 4)
        self.assertEqual(self.peat("put", "t/x", "{broken").returncode, 4)
        self.assertEqual(self.peat("connect", "ab" * 32 + "@127.0.0.1:1", "--wait", 1).returncode, 1)
        done = self.peat("get", "t/x")
        self.assertEqual((done.stdout, done.returncode), ("", 4))
        self.assertIn("document not found: t/x", done.stderr)

    def test_every_command_has_help_with_examples(self):
        commands = "id status peers connect disconnect get put update delete list watch import " \
                   "export completion sync backup"
        nested = ["secret", "secret new", "explain doc", "explain peer", "quarantine list",
                  "quarantine show", "quarantine retry", "quarantine drop", "store compact"]
        for command in commands.split() + nested:
            text = self.good(*command.split(), "--help")
            self.assertIn("Examples:", text, command)
        self.assertIn("Exit codes", self.good("--help"))

    def test_import_takes_arrays_wrapped_arrays_and_lines(self):
        rows = [{"k": "a", "n": 1}, {"k": "b", "n": 2}]
        array = self.file("array.json", json.dumps(rows, indent=2))
        wrapped = self.file("wrapped.json", json.dumps({"3166-1": rows}))
        lines = "\n".join(map(json.dumps, rows))
        for i, (file, stdin) in enumerate(((array, None), (wrapped, None), ("-", lines))):
            out = json.loads(self.good("import", f"t{i}", file, "--key", "k", stdin=stdin))
            self.assertEqual((out["created"], out["failed"]), (2, 0))
            self.assertEqual(json.loads(self.good("get", f"t{i}/b")), rows[1])
        again = json.loads(self.good("import", "t0", array, "--key", "k"))
        self.assertEqual((again["created"], again["unchanged"]), (0, 2))

    def test_a_missing_or_repeated_key_is_told_by_line_and_nothing_is_written(self):
        file = self.file("bad.json", '[\n  {"k": "a"},\n  {"n": 2},\n  {"k": "a"},\n  {"k": "c"}\n]')
        done = self.peat("import", "t", file, "--key", "k")
        self.assertEqual(done.returncode, 4)
        self.assertIn(f"{file}:3:", done.stderr)
        self.assertIn(f"{file}:4:", done.stderr)
        self.assertIn("nothing was written", done.stderr)
        self.assertEqual(self.a.total("t"), 0)
        out = json.loads(self.good("import", "t", file, "--key", "k", "--skip-bad"))
        self.assertEqual((out["created"], out["skipped"]), (2, 2))

    def test_what_export_writes_import_reads(self):
        rows = {f"id {i}": {"n": i, "text": "ü\n"} for i in range(1200)}
        for line in (rows,):
            body = "\n".join(json.dumps({"_id": k} | v) for k, v in line.items())
            self.good("import", "t", "-", "--key", "_id", stdin=body)
        exported = self.good("export", "t")
        self.assertEqual(len(exported.splitlines()), 1200)
        self.good("import", "u", "-", "--key", "_id", stdin=exported)
        self.assertEqual(self.a.get("u", "id 7"), {"n": 7, "text": "ü\n"})
        self.assertEqual(self.good("export", "u"), exported)

    def test_documents_as_deep_as_the_interface_takes_go_through_every_command(self):
        deep = "1"
        for _ in range(60):
            deep = f'{{"n":{deep}}}'
        body = json.dumps({"_id": "x"} | json.loads(deep), separators=(",", ":"))
        self.good("import", "t", "-", "--key", "_id", stdin=body)
        self.assertEqual(json.loads(self.good("get", "t/x")), json.loads(deep))
        self.assertIn("x", self.good("--output", "table", "list", "t"))
        self.assertEqual(self.good("export", "t").strip(), body)

    def test_a_terminal_gets_a_table_and_a_progress_bar(self):
        rows = self.file("rows.ndjson", "\n".join(json.dumps({"k": f"{i}"}) for i in range(50)))
        env = os.environ | {"PEAT_API": f"http://{self.a.api.netloc}"}
        master, slave = pty.openpty()
        process = subprocess.Popen([BIN / "peat", "import", "t", rows, "--key", "k"], env=env,
                                   stdout=slave, stderr=slave, stdin=subprocess.DEVNULL)
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 4096):
                shown += chunk
        except OSError:
            pass
        os.close(master)
        self.assertEqual(process.wait(20), 0)
        self.assertIn("█".encode(), shown)
        self.assertIn(b"50/50", shown)
        self.assertIn(b"50 created", shown)

    def test_watch_follows_and_an_interrupt_is_130(self):
        env = os.environ | {"PEAT_API": f"http://{self.a.api.netloc}"}
        process = subprocess.Popen([BIN / "peat", "watch", "--collection", "t", "--after", "0"],
                                   env=env, stdout=subprocess.PIPE, text=True)
        self.good("put", "u/x", "{}")
        self.good("put", "t/x", "{}")
        event = json.loads(process.stdout.readline())
        self.assertEqual((event["collection"], event["doc_id"]), ("t", "x"))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 130)
        process.stdout.close()

    def test_a_reader_that_leaves_ends_the_command_quietly(self):
        body = "\n".join(json.dumps({"_id": f"{i}", "t": "x" * 500}) for i in range(2000))
        self.good("import", "t", "-", "--key", "_id", stdin=body)
        done = subprocess.run(f"'{BIN / 'peat'}' --api {self.a.api.netloc} export t | head -n 1",
                              shell=True, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_connect_waits_and_status_shows_the_peer(self):
        b = self.lab.daemon("b")
        shown = json.loads(self.good("connect", b.address))
        self.assertTrue(shown["connected"])
        status = json.loads(self.good("status"))
        self.assertEqual([p["id"] for p in status["peers"]], [b.id])
        table = self.good("--output", "table", "status")
        self.assertIn("1 of 1 peers connected", table)
        self.good("disconnect", b.id)
        wait_for(lambda: not self.a.connected(), "disconnected")

    def test_completion_is_valid_bash_and_completes(self):
        script = self.file("peat.bash", self.good("completion", "bash"))
        done = subprocess.run(
            ["bash", "-c", f"source '{script}'; COMP_WORDS=(peat im); COMP_CWORD=1; _peat; "
             "echo ${COMPREPLY[@]}; COMP_WORDS=(peat import --sk); COMP_CWORD=2; _peat; "
             "echo ${COMPREPLY[@]}; COMP_WORDS=(peat automerge json --at); COMP_CWORD=3; _peat; "
             "echo ${COMPREPLY[@]}"], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.split(), ["import", "--skip-bad", "--at"])


if __name__ == "__main__":
    unittest.main()
