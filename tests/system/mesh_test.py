"""Three machines and a mesh of certificates: begin, invite, join, put out; and who stays outside."""

import base64
import json
import os
import pathlib
import stat
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN, Daemon, LabTest, wait_for  # noqa: E402


class Member(Daemon):
    """A daemon that has its secret from the mesh it joined."""

    def __init__(self, lab, name, **kwargs):
        self.secret_arguments = []
        super().__init__(lab, name, **kwargs)

    def start(self):
        command = [BIN / "peat-mesh-node", "--node-id", self.name, "--data-dir", self.data,
                   "--bind", f"127.0.0.1:{self.port}", *self.secret_arguments, *self.arguments]
        if "--api" not in self.arguments:
            command += ["--api", "127.0.0.1:0"]
        for peer in self.peers:
            command += ["--peer", peer]
        self.launch(command)

    def member(self, name):
        members = self.json("GET", "/api/v1/members")["members"]
        return next((m for m in members if m["node_id"] == name), None)


class Mesh(LabTest):
    def setUp(self):
        self.passphrase = self.lab.path / "passphrase"
        self.passphrase.write_text("correct horse battery staple\n")
        self.passphrase.chmod(0o600)

    def peat(self, *arguments, stdin=None, at=None):
        env = os.environ | ({"PEAT_API": f"http://{at.api.netloc}"} if at else {})
        return subprocess.run([BIN / "peat", *map(str, arguments)], input=stdin, env=env,
                              capture_output=True, text=True, timeout=60)

    def good(self, *arguments, **kwargs):
        done = self.peat(*arguments, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def data(self, name):
        return self.lab.path / name

    def init(self, policy="controlled"):
        return json.loads(self.good("mesh", "init", "Depot", "--data-dir", self.data("depot"),
                                    "--node-id", "depot", "--policy", policy,
                                    "--passphrase-file", self.passphrase))

    def start(self, name, **kwargs):
        member = Member(self.lab, name, **kwargs)
        self.lab.running.append(member)
        return member

    def invite(self, depot, *arguments):
        out = self.good("mesh", "invite", "--data-dir", self.data("depot"), *arguments, at=depot)
        return json.loads(out)["link"]

    def join(self, name, link):
        return self.peat("mesh", "join", "--data-dir", self.data(name), "--node-id", name,
                         stdin=link + "\n")

    def mesh_of_three(self):
        self.init()
        depot = self.start("depot")
        for name in ("truck", "boat"):
            done = self.join(name, self.invite(depot))
            self.assertEqual(done.returncode, 0, done.stderr)
        truck, boat = self.start("truck"), self.start("boat")
        wait_for(lambda: len(depot.connected()) == 2, "both have come")
        return depot, truck, boat

    def test_a_new_machine_is_in_with_two_commands_and_out_with_one(self):
        depot, truck, boat = self.mesh_of_three()
        truck.put("cargo", "7", {"tons": 3})
        wait_for(lambda: boat.get("cargo", "7"), "documents travel")
        self.peat("connect", truck.address, at=boat)
        wait_for(lambda: truck.id in boat.connected(), "members know each other")

        self.good("cert", "revoke", "truck", "--reason", "stolen at the ford", "--data-dir",
                  self.data("depot"), at=depot)
        # Out everywhere, at once (D-09: in the reference, after a restart).
        for node in (depot, boat):
            wait_for(lambda: truck.id not in node.connected(), f"{node.name} has put it out", 1)
        truck.put("cargo", "8", {"tons": 4})
        boat.put("cargo", "9", {"tons": 5})
        wait_for(lambda: depot.get("cargo", "9"), "the others go on")
        self.assertIsNone(depot.get("cargo", "8"))
        self.assertIsNone(truck.get("cargo", "9"))
        # And one command says why, on any node.
        shown = json.loads(self.good("cert", "show", "truck", at=boat))
        self.assertEqual(shown["status"], "revoked")
        self.assertIn("stolen at the ford", shown["problem"])
        self.assertIn("certificate revoked", self.good("peers", at=truck))

        # Nobody without ADMIN deletes it; it survives a restart, also where its document was
        # overwritten meanwhile (D-10).
        status, _, text = boat.request("DELETE", f"/api/v1/documents/revocations/{truck.id}")
        self.assertEqual(status, 403)
        self.assertIn("admin", text)
        boat.put("revocations", truck.id, {"nothing": "of the kind"})
        self.assertEqual(boat.stop(), 0)
        boat.start()
        self.assertEqual(boat.member("truck")["status"], "revoked")
        wait_for(lambda: "signature" in boat.get("revocations", truck.id), "it is put back")
        self.assertNotIn(truck.id, boat.connected())

    def test_members_that_meet_with_nobody_else_around_trust_each_other(self):
        self.init()
        depot = self.start("depot")
        for name in ("truck", "boat"):
            self.assertEqual(self.join(name, self.invite(depot)).returncode, 0)
        self.assertEqual(depot.stop(), 0)
        truck = self.start("truck")
        boat = self.start("boat", peers=[truck.address])
        wait_for(lambda: truck.id in boat.connected(), "they have met")
        boat.put("cargo", "1", {"tons": 1})
        wait_for(lambda: truck.get("cargo", "1"), "documents travel")

    def test_an_invitation_lets_one_machine_in(self):
        self.init()
        depot = self.start("depot")
        link = self.invite(depot, "--name", "truck-*")
        done = self.join("evil", link)
        self.assertEqual(done.returncode, 3)
        self.assertIn("name", done.stderr)
        self.assertEqual(self.join("truck-1", link).returncode, 0)
        # D-35: in the reference a token is good for ever and for everybody.
        done = self.join("truck-2", link)
        self.assertEqual(done.returncode, 3)
        self.assertIn("invalid bootstrap token", done.stderr)
        self.assertFalse((self.data("truck-2") / "mesh.credentials").exists())
        # Used up over a restart of the authority.
        self.assertEqual(depot.stop(), 0)
        depot.start()
        self.assertEqual(self.join("truck-2", link).returncode, 3)
        self.assertIn("the invitation is used up", depot.log())

    # D-02: one captured secret is every member's key in the reference.
    def test_the_formation_secret_alone_opens_nothing(self):
        self.init()
        depot = self.start("depot")
        depot.put("cargo", "1", {"tons": 1})
        credentials = (self.data("depot") / "mesh.credentials").read_bytes()
        stolen = self.lab.path / "stolen"
        stolen.write_text(base64.b64encode(credentials[15:47]).decode())
        stolen.chmod(0o600)
        thief = Member.__new__(Member)
        thief.secret_arguments = ["--formation-secret-file", stolen]
        Daemon.__init__(thief, self.lab, "thief", peers=[depot.address])
        self.lab.running.append(thief)
        wait_for(lambda: "certificate required" in self.good("peers", at=thief), "it is refused")
        wait_for(lambda: "peer refused" in depot.log(), "the depot says so")
        self.assertIsNone(thief.get("cargo", "1"))
        self.assertEqual(depot.connected(), [])

    def test_everything_secret_is_the_owners_alone_and_nothing_else_is_taken(self):
        self.init()
        for file in self.data("depot").iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)
        for name in ("mesh.credentials", "authority.key"):
            path = self.data("depot") / name
            path.chmod(0o640)
            with self.assertRaisesRegex(AssertionError, "chmod 600"):
                self.start("depot")
            path.chmod(0o600)
        secret = (self.data("depot") / "mesh.credentials").read_bytes()[15:47]
        genesis = (self.data("depot") / "mesh.genesis").read_bytes()
        self.assertNotIn(secret, genesis)
        self.assertNotIn((self.data("depot") / "authority.key").read_bytes(), genesis)

    def test_a_strict_mesh_enrols_nobody_and_certifies_by_hand(self):
        self.init(policy="strict")
        depot = self.start("depot")
        done = self.peat("mesh", "invite", "--data-dir", self.data("depot"), at=depot)
        self.assertEqual(done.returncode, 3)
        self.assertIn("peat cert issue", done.stderr)
        device = self.good("id", "--data-dir", self.data("radio")).strip()
        self.good("cert", "issue", device, "--node-id", "radio", "--days", "3", "--data-dir",
                  self.data("depot"), at=depot)
        wait_for(lambda: depot.member("radio"), "it is certified")
        before = depot.member("radio")["expires_at_ms"]
        self.good("cert", "renew", "radio", "--days", "30", "--data-dir", self.data("depot"),
                  at=depot)
        wait_for(lambda: depot.member("radio")["expires_at_ms"] > before, "and for longer")

    def test_rules_say_who_reads_and_writes_what_and_one_command_says_why_not(self):
        arguments = ["--access", "orders:write=regional", "--access", "plans:read=regional"]
        self.init()
        depot = self.start("depot", arguments=arguments)
        for name, tier in (("truck", "tactical"), ("hub", "regional")):
            done = self.join(name, self.invite(depot, "--tier", tier))
            self.assertEqual(done.returncode, 0, done.stderr)
        truck = self.start("truck")
        hub = self.start("hub", arguments=arguments)
        wait_for(lambda: len(depot.connected()) == 2, "both have come")
        depot.put("orders", "1", {"go": "north"})
        depot.put("plans", "1", {"go": "south"})
        wait_for(lambda: truck.get("orders", "1") and hub.get("plans", "1"), "readers read")
        # The truck has no rules of its own, and does what it likes: nobody takes it.
        truck.put("orders", "1", {"go": "home"})
        truck.put("cargo", "1", {"tons": 1})
        hub.put("orders", "2", {"go": "east"})
        wait_for(lambda: depot.get("cargo", "1") and depot.get("orders", "2"), "writers write")
        self.assertEqual(depot.get("orders", "1"), {"go": "north"})
        self.assertIsNone(truck.get("plans", "1"))
        shown = self.good("--output", "table", "access", at=depot)
        self.assertIn("may not write 'orders': the access rules give that to regional", shown)
        self.assertIn("access denied", depot.log())
        self.assertGreater(depot.metrics()["peat_access_denied_read_total"], 0)
        self.assertGreater(depot.metrics()["peat_access_denied_write_total"], 0)
        self.assertEqual(depot.stop(), 0)
        depot.arguments = ["--access", "orders:write=enterprise"]
        depot.start()
        wait_for(lambda: len(depot.connected()) == 2, "both are back")
        wait_for(lambda: truck.get("plans", "1"), "what was withheld comes under other rules")

    def test_with_approval_a_device_waits_until_the_operator_lets_it_in(self):
        self.init()
        depot = self.start("depot", arguments=["--enrollment-approval"])
        joins = {}
        for name in ("truck", "spy"):
            joins[name] = subprocess.Popen(
                [BIN / "peat", "mesh", "join", "--data-dir", self.data(name), "--node-id", name,
                 "--every", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            joins[name].stdin.write(self.invite(depot) + "\n")
            joins[name].stdin.flush()
            joins[name].stdin.close()
            joins[name].stdin = None
        waiting = lambda: {d["node_id"] for d in  # noqa: E731
                           json.loads(self.good("mesh", "pending", at=depot))["pending"]}
        wait_for(lambda: waiting() == {"truck", "spy"}, "both wait")
        self.assertFalse((self.data("truck") / "mesh.credentials").exists())
        self.good("mesh", "deny", "spy", at=depot)
        self.good("mesh", "approve", "truck", at=depot)
        _, told = joins["truck"].communicate(timeout=40)
        self.assertEqual(joins["truck"].returncode, 0, told)
        self.assertIn("waits for approval", told)
        _, told = joins["spy"].communicate(timeout=40)
        self.assertEqual(joins["spy"].returncode, 3)
        self.assertIn("refused", told)
        truck = self.start("truck")
        wait_for(lambda: truck.id in depot.connected(), "it is in")

    def test_a_member_without_admin_revokes_nobody(self):
        depot, truck, boat = self.mesh_of_three()
        wait_for(lambda: truck.member("boat"), "certificates travel")
        done = self.peat("cert", "revoke", "boat", "--reason", "envy", "--data-dir",
                         self.data("truck"), at=truck)
        self.assertEqual(done.returncode, 3)
        # Its document reaches the others, and does nothing there (D-10).
        wait_for(lambda: depot.get("revocations", boat.id), "the document is there")
        wait_for(lambda: "revocation refused" in depot.log(), "and refused")
        self.assertIn(boat.id, depot.connected())

    def test_a_link_with_a_typing_error_and_a_second_mesh_are_told_as_such(self):
        self.init()
        depot = self.start("depot")
        link = self.invite(depot)
        wrong = link[:40] + ("A" if link[40] != "A" else "B") + link[41:]
        self.assertIn("typing error", self.join("x", wrong).stderr)
        done = self.join("depot", link)
        self.assertEqual(done.returncode, 4)
        self.assertIn("belongs to the mesh Depot", done.stderr)

    # D-57: in the reference everybody who reaches the port may do everything.
    def test_with_tokens_the_interface_may_listen_anywhere_and_needs_them(self):
        self.init()
        tokens = self.lab.path / "tokens"
        read = self.lab.path / "read.token"
        write = self.lab.path / "write.token"
        for file, scope in ((read, "read"), (write, "write")):
            file.write_text(self.good("token", "new", scope, "--scope", scope, "--file", tokens))
            file.chmod(0o600)
        self.assertEqual(stat.S_IMODE(tokens.stat().st_mode), 0o600)
        self.assertNotIn(read.read_text().strip(), tokens.read_text())
        open_to_all = ["--api", "0.0.0.0:0"]
        with self.assertRaisesRegex(AssertionError, "api-tokens-file"):
            self.start("depot", arguments=open_to_all)
        depot = self.start("depot", arguments=[*open_to_all, "--api-tokens-file", tokens])
        depot.api = urllib.parse.urlsplit(f"http://127.0.0.1:{depot.api.port}")
        self.assertEqual(depot.request("GET", "/api/v1/status")[0], 401)
        self.assertEqual(depot.request("GET", "/api/v1/health")[0], 200)
        self.assertEqual(self.peat("status", at=depot).returncode, 2)
        self.good("--token-file", read, "status", at=depot)
        self.assertEqual(self.peat("--token-file", read, "put", "t/x", "{}", at=depot).returncode, 3)
        self.good("--token-file", write, "put", "t/x", "{}", at=depot)
        # The owner's socket needs none, and is the owner's alone.
        path = self.data("depot") / "api.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.good("--api", f"unix:{path}", "put", "t/y", "{}")
        self.assertIn("t", self.good("--api", f"unix:{path}", "status"))
        depot.kill()
        depot.start()  # over what a killed node has left
        depot.api = urllib.parse.urlsplit(f"http://127.0.0.1:{depot.api.port}")
        self.good("--api", f"unix:{path}", "get", "t/y")
        self.assertEqual(depot.stop(), 0)
        self.assertFalse(path.exists())
        depot.arguments += ["--api-socket", "none"]
        depot.start()
        self.assertFalse(path.exists())

    def test_the_commands_have_help_with_examples(self):
        for command in ("mesh", "mesh init", "mesh invite", "mesh join", "mesh show",
                        "mesh pending", "mesh approve", "mesh deny", "access", "store show",
                        "store reseal", "cert",
                        "cert list", "cert show", "cert issue", "cert revoke", "cert renew", "token new",
                        "id derive", "id rotate"):
            self.assertIn("Examples:", self.good(*command.split(), "--help"), command)

    def test_ids_are_derived_and_rotated(self):
        secret = self.lab.path / "zero"
        secret.write_text("KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=\n")
        secret.chmod(0o600)
        self.assertEqual(self.good("id", "derive", "node-a", "--secret-file", secret).strip(),
                         "4229afe8d9c12d0acfd98cb56d4e2edd0e844442651a70a6995c2ed7ef100684")
        old = self.good("id", "--data-dir", self.data("x")).strip()
        new = self.good("id", "rotate", "--data-dir", self.data("x")).strip()
        self.assertNotEqual(old, new)
        self.assertEqual(self.good("id", "--data-dir", self.data("x")).strip(), new)


if __name__ == "__main__":
    unittest.main(verbosity=2)
