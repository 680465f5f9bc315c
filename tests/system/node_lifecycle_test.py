"""The contract of the daemon's process: start, settings, ready line, signals, exit codes."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
from lab import BIN, SECRET, LabTest, wait_for  # noqa: E402


class Start(LabTest):
    def run_node(self, *arguments, env=None, secret=True, data=None):
        """Runs a daemon that should end by itself; returns exit code, stdout, stderr."""
        command = [BIN / "peat-mesh-node", "--data-dir", data or self.lab.path / "x", *arguments]
        if secret:
            command += ["--formation-secret-file", self.lab.secret_file]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PEAT_")}
        done = subprocess.run(command, env=clean | (env or {}), capture_output=True, text=True,
                              timeout=30)
        return done.returncode, done.stdout, done.stderr

    def test_the_ready_line_names_everything_and_logs_go_to_stderr(self):
        a = self.lab.daemon("a")
        self.assertEqual(a.ready["event"], "ready")
        self.assertEqual(a.ready["node_id"], "a")
        self.assertRegex(a.ready["endpoint_id"], "^[0-9a-f]{64}$")
        self.assertRegex(a.ready["bind"], r"^127\.0\.0\.1:[1-9][0-9]*$")
        self.assertRegex(a.ready["api"], r"^http://127\.0\.0\.1:[1-9][0-9]*$")
        self.assertEqual(a.stop(), 0)
        self.assertIn("ready", a.log())

    def test_the_key_file_is_the_owners_alone_and_peat_id_prints_its_id(self):
        printed = subprocess.run([BIN / "peat", "id", "--data-dir", self.lab.path / "a"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        key = self.lab.path / "a" / "identity.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(key.parent.stat().st_mode), 0o700)
        a = self.lab.daemon("a")
        self.assertEqual(a.id, printed)

    def test_without_a_secret_the_start_fails_and_names_the_command(self):
        code, out, err = self.run_node(secret=False)
        self.assertEqual((code, out), (4, ""))
        self.assertIn("peat secret new", err)

    def test_a_weak_secret_is_refused_unless_allowed(self):
        weak = {"PEAT_FORMATION_SECRET": "dGVzdC1mb3JtYXRpb24tc2VjcmV0LTEyMzQ1Njc4"}
        code, _, err = self.run_node("--check-config", env=weak, secret=False)
        self.assertEqual(code, 2)
        self.assertIn("peat secret new", err)
        code, _, _ = self.run_node("--check-config", "--allow-weak-secret", env=weak, secret=False)
        self.assertEqual(code, 0)

    def test_a_secret_file_that_others_can_read_is_refused(self):
        self.lab.secret_file.chmod(0o644)
        code, _, err = self.run_node("--check-config")
        self.assertEqual(code, 2)
        self.assertIn("chmod 600", err)

    def test_f25_an_empty_variable_is_unset(self):
        # Without flags, which would win over any variable.
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith("PEAT_") and k not in ("RUST_LOG", "HOSTNAME")}

        def ask(flag, env):
            return subprocess.run([BIN / "peat-mesh-node", flag], env=env, capture_output=True,
                                  text=True, check=True, timeout=30).stdout

        names = set(re.findall(r"\bPEAT_[A-Z_]+\b", ask("--print-settings-reference", clean)))
        self.assertGreater(len(names), 15)
        names |= {"PEAT_CONFIG", "RUST_LOG", "HOSTNAME"}
        for name in sorted(names):
            self.assertEqual(ask("--print-config", clean | {name: ""}),
                             ask("--print-config", clean), name)

    def test_a_variable_that_is_not_in_this_version_fails_by_name(self):
        for name in ("PEAT_DISCOVERY", "PEAT_AUTHORITY_KEY", "PEAT_STATIC_PEERS", "PEAT_ENROLLMENT_TOKENS"):
            code, _, err = self.run_node(env={name: "something"})
            self.assertEqual(code, 4)
            self.assertIn(name, err)

    def test_the_variables_of_older_nodes_set_the_ports(self):
        _, out, _ = self.run_node("--print-config", env={
            "PEAT_IROH_BIND_PORT": "12345", "PEAT_BROKER_PORT": "18099",
            "HOSTNAME": "pod-0", "RUST_LOG": "info,peat_mesh=debug"})
        self.assertIn('bind = "0.0.0.0:12345"', out)
        self.assertIn('api = "127.0.0.1:18099"', out)
        self.assertIn('node_id = "pod-0"', out)
        self.assertIn('log.level = "debug"', out)

    def test_print_config_masks_the_secret(self):
        code, out, err = self.run_node("--print-config", env={"PEAT_FORMATION_SECRET": SECRET},
                                       secret=False)
        self.assertEqual(code, 0)
        self.assertIn("***", out)
        self.assertNotIn(SECRET, out + err)

    def test_an_interface_off_loopback_is_refused(self):
        code, _, err = self.run_node("--api", "0.0.0.0:8081")
        self.assertEqual(code, 4)
        self.assertIn("loopback", err)

    def test_a_second_process_on_one_directory_is_refused_by_name(self):
        a = self.lab.daemon("a")
        code, _, err = self.run_node("--bind", "127.0.0.1:0", "--api", "127.0.0.1:0", data=a.data)
        self.assertEqual(code, 1)
        self.assertIn(str(a.process.pid), err)

    def test_an_address_in_use_is_named(self):
        a = self.lab.daemon("a")
        code, _, err = self.run_node("--bind", "127.0.0.1:0", "--api", a.api.netloc)
        self.assertEqual(code, 1)
        self.assertIn(a.api.netloc, err)
        code, _, err = self.run_node("--bind", a.bind, "--api", "127.0.0.1:0")
        self.assertEqual(code, 1)
        self.assertIn(a.bind, err)

    def test_unknown_flags_and_bad_values_are_bad_requests(self):
        for arguments in (["--nonsense"], ["--bind", "nowhere"], ["--peer", "x@y:1"],
                          ["--log-level", "loud"], ["--read-limit", "5"]):
            code, out, err = self.run_node(*arguments)
            self.assertEqual((code, out), (4, ""), arguments)
            self.assertIn(arguments[-1].lstrip("-"), err)

    def test_legacy_identity_is_the_one_of_older_nodes(self):
        env = {"PEAT_FORMATION_SECRET": "dGVzdC1mb3JtYXRpb24tc2VjcmV0LTEyMzQ1Njc4"}
        process = subprocess.Popen(
            [BIN / "peat-mesh-node", "--node-id", "node-a", "--data-dir", self.lab.path / "l",
             "--legacy-identity", "--allow-weak-secret", "--bind", "127.0.0.1:0", "--api",
             "127.0.0.1:0"], env=os.environ | env, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        self.assertEqual(ready["endpoint_id"],
                         "e435ad7da5b8cb152c2c9f236abdd8212b08c6e17d07de7e18750dcd09143008")
        self.assertIn("legacy_identity", log)
        self.assertIn("allow_weak_secret", log)


class Running(LabTest):
    def test_a_plain_store_is_encrypted_while_the_node_runs_and_stays_shut_without_its_key(self):
        key = self.lab.path / "store.key"
        key.write_bytes(subprocess.run([BIN / "peat", "secret", "new"], capture_output=True,
                                       check=True).stdout)
        key.chmod(0o600)
        a = self.lab.daemon("a")
        for n in range(300):
            a.put("plans", str(n), {"text": "attack at dawn"})
        self.assertFalse(a.json("GET", "/api/v1/store")["encrypted"])
        self.assertEqual(a.stop(), 0)
        a.arguments = ["--store-key-file", key]
        a.start()
        wait_for(lambda: not a.json("GET", "/api/v1/store")["resealing"], "all is sealed")
        self.assertEqual(a.json("GET", "/api/v1/store")["data_key"], 1)
        self.assertEqual(a.get("plans", "7"), {"text": "attack at dawn"})
        done = subprocess.run([BIN / "peat", "store", "reseal"], capture_output=True, text=True,
                              env=os.environ | {"PEAT_API": f"http://{a.api.netloc}"})
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: not a.json("GET", "/api/v1/store")["resealing"], "and sealed anew")
        self.assertEqual(a.metrics()["peat_store_data_key"], 2)
        self.assertEqual(a.get("plans", "299"), {"text": "attack at dawn"})
        self.assertEqual(a.stop(), 0)
        a.arguments = []
        with self.assertRaisesRegex(AssertionError, "encrypted.*store_key_file"):
            a.start()
        key.write_bytes(b"x" * 32)
        a.arguments = ["--store-key-file", key]
        with self.assertRaisesRegex(AssertionError, "does not open.*store.key"):
            a.start()

    def test_json_logs_are_one_object_per_line(self):
        a = self.lab.daemon("a", arguments=["--log-format", "json"])
        a.stop()
        lines = a.log().splitlines()
        self.assertGreater(len(lines), 2)
        for line in lines:
            self.assertEqual(set(json.loads(line)), {"time", "level", "message"})

    def test_no_core_dump_can_hold_the_keys(self):
        a = self.lab.daemon("a")
        limits = pathlib.Path(f"/proc/{a.process.pid}/limits").read_text()
        core = next(l for l in limits.splitlines() if l.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"])

    def test_the_service_manager_is_told_of_readiness_and_stop(self):
        path = str(self.lab.path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(10)
            a = self.lab.daemon("a", env={"NOTIFY_SOCKET": path})
            self.assertEqual(manager.recv(100), b"READY=1")
            a.stop()
            self.assertEqual(manager.recv(100), b"STOPPING=1")

    @unittest.skipUnless("PEAT_SLOW_LOOKUP" in os.environ, "needs the library that ctest names")
    def test_a_look_up_that_hangs_does_not_delay_a_stop(self):
        b = self.lab.daemon("b")
        a = self.lab.daemon("a", peers=[f"{b.id}@slow.invalid:4000"],
                            env={"LD_PRELOAD": os.environ["PEAT_SLOW_LOOKUP"]})
        wait_for(lambda: "looking up" in a.log(), "the look-up")
        a.process.send_signal(signal.SIGTERM)
        self.assertEqual(a.process.wait(30), 0)  # the look-up takes 60 s
        self.assertIn("stopped", a.log())

    @unittest.skipUnless("PEAT_SLOW_LOOKUP" in os.environ, "needs the library that ctest names")
    def test_f6_a_known_address_is_dialled_without_a_look_up(self):
        b = self.lab.daemon("b")
        a = self.lab.daemon("a", peers=[b.address],
                            env={"LD_PRELOAD": os.environ["PEAT_SLOW_LOOKUP"]})
        wait_for(lambda: a.connected() == [b.id], "the connection; a look-up would take 60 s")
        self.assertNotIn("looking up", a.log())

    @unittest.skipUnless(os.geteuid() == 0, "a daemon's /proc files are root's")
    def test_the_secret_leaves_the_environment(self):
        process = subprocess.Popen(
            [BIN / "peat-mesh-node", "--data-dir", self.lab.path / "x", "--bind", "127.0.0.1:0",
             "--api", "localhost:0"], env=os.environ | {"PEAT_FORMATION_SECRET": SECRET},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        environment = pathlib.Path(f"/proc/{process.pid}/environ").read_bytes()
        process.terminate()
        self.assertEqual(process.wait(30), 0)
        process.stdout.close()
        self.assertNotIn(SECRET.encode(), environment)

    def test_sigterm_lets_a_request_finish_and_ends_event_streams(self):
        a = self.lab.daemon("a")
        import http.client
        stream = http.client.HTTPConnection(a.api.hostname, a.api.port, timeout=20)
        stream.request("GET", "/api/v1/events")
        answer = stream.getresponse()
        self.assertEqual(answer.status, 200)
        a.process.send_signal(signal.SIGTERM)
        self.assertEqual(answer.read(), b"")
        self.assertEqual(a.process.wait(20), 0)
        a.process.stdout.close()


if __name__ == "__main__":
    unittest.main()
