"""`peat automerge …` on files that the reference implementation wrote."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN  # noqa: E402

FILES = pathlib.Path(__file__).resolve().parents[2] / "fuzz/corpus/automerge_load"


class AutomergeFiles(unittest.TestCase):
    def peat(self, *arguments, stdin=b""):
        return subprocess.run([BIN / "peat", "automerge", *map(str, arguments)], input=stdin,
                              capture_output=True, timeout=60)

    def good(self, *arguments, **kwargs):
        done = self.peat(*arguments, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def test_inspect_shows_chunks_columns_and_heads(self):
        path = FILES / "everything-raw"
        report = json.loads(self.good("inspect", path, "--json"))
        self.assertEqual(report["bytes"], path.stat().st_size)
        chunk, = report["chunks"]
        self.assertEqual((chunk["kind"], chunk["offset"], chunk["bytes"]),
                         ("document", 0, report["bytes"]))
        self.assertTrue(chunk["checksum_good"])
        self.assertEqual(chunk["heads"], report["document"]["heads"])
        self.assertEqual(chunk["change_count"], report["document"]["changes"])
        columns = chunk["change_columns"] + chunk["op_columns"]
        end = columns[0]["offset"]
        for column in columns:
            self.assertEqual(column["offset"], end)
            self.assertNotEqual(column["name"], "unknown")
            end += column["stored_bytes"]
        self.assertEqual(end + len(chunk["heads"]), report["bytes"])

    def test_the_table_names_what_the_json_names(self):
        path = FILES / "everything-deflated"
        report = json.loads(self.good("inspect", path, "--json", "--changes", "--ops"))
        table = self.good("--output", "table", "inspect", path, "--changes", "--ops").decode()
        chunk = report["chunks"][0]
        for head in report["document"]["heads"]:
            self.assertIn(head, table)
        for change in chunk["changes"]:
            self.assertIn(change["hash"], table)
        self.assertEqual(len(chunk["operations"]), chunk["rows"])
        for words in ("key text", "successor counter", "deflated", "good", "make list", "counter"):
            self.assertIn(words, table)

    def test_a_document_and_its_changes_are_the_same_document(self):
        whole = json.loads(self.good("inspect", FILES / "conflicts-raw", "--json"))["document"]
        parts = json.loads(self.good("inspect", FILES / "conflicts-compressed", "--json"))
        self.assertEqual(parts["document"], whole)
        self.assertEqual({c["kind"] for c in parts["chunks"]}, {"compressed change"})

    def test_verify_tells_good_files_from_damaged_ones(self):
        good = FILES / "nested-deflated"
        self.assertIn(b"good", self.good("verify", good))
        bad = self.folder() / "bad"
        data = bytearray(good.read_bytes())
        data[-5] ^= 0xff
        bad.write_bytes(data)
        done = self.peat("verify", good, bad)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"good", done.stdout)
        self.assertIn(b"checksum", done.stderr)
        self.assertIn(str(bad).encode(), done.stderr)

    def test_a_damaged_file_is_still_shown(self):
        data = bytearray((FILES / "conflicts-changes").read_bytes())
        data[20] ^= 0xff
        done = self.peat("inspect", "-", "--json", stdin=bytes(data))
        self.assertEqual(done.returncode, 4)
        report = json.loads(done.stdout)
        self.assertNotIn("document", report)
        self.assertIn("fault", report["chunks"][0])
        self.assertNotIn("fault", report["chunks"][1])

    def test_json_is_the_document(self):
        shown = json.loads(self.good("json", FILES / "scalars-deflated"))
        self.assertEqual(shown["s3"], -5)
        self.assertEqual(shown["s6"], "hé🚀")
        typed = json.loads(self.good("json", FILES / "scalars-deflated", "--typed"))
        self.assertEqual((typed["s3"], typed["s4"], typed["s8"]),
                         (-5, {"$uint": 7}, {"$counter": 3}))

    def hashes(self, path):
        report = json.loads(self.good("inspect", path, "--json", "--changes"))
        return [change["hash"] for change in report["chunks"][0]["changes"]]

    def test_json_is_shown_as_it_was_at_a_change(self):
        path = FILES / "text-raw"
        first, second = self.hashes(path)
        self.assertEqual(json.loads(self.good("json", path, "--at", first))["note"], "hello wörld")
        self.assertEqual(self.good("json", path, "--at", second), self.good("json", path))
        self.assertEqual(self.good("json", path, "--at", f"{first},{second}"),
                         self.good("json", path))
        self.assertEqual(self.good("json", path, "--at", first[:8]),
                         self.good("json", path, "--at", first))
        self.assertEqual(json.loads(self.good("json", path, "--at", "none")), {})

    def test_heads_that_name_no_change_or_several_are_refused(self):
        path = self.folder() / "all"
        names = ("scalars", "nested", "text", "long", "everything")
        self.good("merge", *(FILES / f"{name}-raw" for name in names), "--out", path)
        hashes = sorted(self.hashes(path))
        digits = next(a[0] for a, b in zip(hashes, hashes[1:]) if a[0] == b[0])
        for heads, words in ((digits, "more digits"), ("ab" * 32, "inspect --changes"),
                             ("Zebra", "hexadecimal"), (hashes[0] + ",", "hexadecimal")):
            for command in (("json", "--at", heads, path), ("diff", heads, "now", path)):
                done = self.peat(*command)
                self.assertEqual(done.returncode, 4, command)
                self.assertEqual(done.stdout, b"")
                self.assertIn(words, done.stderr.decode())
                self.assertIn(str(path), done.stderr.decode())

    def test_a_diff_leads_from_one_state_to_the_other_in_both_directions(self):
        path = FILES / "text-raw"
        for before, after in (self.hashes(path), reversed(self.hashes(path))):
            note = json.loads(self.good("json", path, "--at", before))["note"]
            for patch in json.loads(self.good("diff", before, after, path, "--json")):
                key, at = patch["path"]
                self.assertEqual(key, "note")
                if patch["action"] == "splice":
                    note = note[:at] + patch["value"] + note[at:]
                else:
                    self.assertEqual(patch["action"], "delete")
                    note = note[:at] + note[at + patch["length"]:]
            self.assertEqual(note, json.loads(self.good("json", path, "--at", after))["note"])
        self.assertEqual(json.loads(self.good("diff", "now", "now", path)), [])

    def test_a_diff_is_told_in_lines(self):
        def lines(name, before="none"):
            return self.good("--output", "table", "diff", before, "now", FILES / name).decode()

        self.assertIn("put       s3 = int -5\n", lines("scalars-raw"))
        self.assertIn("put       s8 = counter 3\n", lines("scalars-raw"))
        self.assertIn("put       note = new text\n", lines("text-raw"))
        self.assertIn("delete    field 03\n", lines("long-raw", self.hashes(FILES / "long-raw")[0]))
        counted = FILES / "conflicts-raw"
        self.assertIn("increment n by 7\n", lines("conflicts-raw", self.hashes(counted)[0]))

    def test_merge_brings_files_together_in_one(self):
        folder = self.folder()
        out = folder / "both"
        self.good("merge", FILES / "text-raw", FILES / "conflicts-deflated", "--out", out)
        merged = json.loads(self.good("json", out))
        for name in ("text-raw", "conflicts-deflated"):
            for key, value in json.loads(self.good("json", FILES / name)).items():
                self.assertEqual(merged[key], value)
        self.assertEqual(self.good("merge", out, FILES / "text-raw"), out.read_bytes())
        self.assertEqual(list(folder.iterdir()), [out])

    def test_text_is_printed_by_its_path(self):
        text = self.good("text", FILES / "text-raw").decode()
        self.assertEqual(text, json.loads(self.good("json", FILES / "text-raw"))["note"])
        self.assertEqual(self.good("text", FILES / "everything-raw", "note").decode(), text)
        done = self.peat("text", FILES / "text-raw", "elsewhere")
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"note", done.stderr)

    def test_every_command_has_help_with_examples(self):
        for command in ("inspect", "verify", "json", "diff", "merge", "text"):
            self.assertIn(b"Examples:", self.good(command, "--help"))

    def test_what_cannot_be_read_or_written_is_named(self):
        for command in (("inspect",), ("verify",), ("json",), ("text",), ("merge",),
                        ("diff", "none", "now")):
            done = self.peat(*command, "/nonexistent")
            self.assertEqual(done.returncode, 4, command)
            self.assertIn(b"/nonexistent", done.stderr)
        done = self.peat("merge", FILES / "text-raw", "--out", "/nonexistent/x")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"/nonexistent/x", done.stderr)


if __name__ == "__main__":
    unittest.main()
