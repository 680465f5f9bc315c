"""Real processes for system and interoperability tests: our daemon and the reference peer.

A Lab owns a temporary directory and every process started in it; leaving it kills them. All
addresses are loopback, all ports are chosen by the kernel. Standard library only.

Environment: PEAT_BIN_DIR (where peat-mesh-node and peat are), PEAT_PEERS_DIR (where scripts/test
puts the foreign peers; default ~/.cache/peat-peers), PEAT_REQUIRE_PEERS=1 (a missing peer is a
failure, not a skip).
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

BIN = pathlib.Path(os.environ.get("PEAT_BIN_DIR", "build/release/apps"))
PEERS = pathlib.Path(os.environ.get("PEAT_PEERS_DIR", pathlib.Path.home() / ".cache/peat-peers"))
SECRET = base64.b64encode(hashlib.sha256(b"a lab's formation").digest()).decode()


def wait_for(condition, what, seconds=20.0, pause=0.02):
    """Returns the first true value of `condition`; fails naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(pause)


def require_refpeer():
    """The reference peer's binary, or a skip (a failure where peers are required)."""
    path = PEERS / "refpeer"
    if path.exists():
        return path
    # Its sources are no part of this repository: without them the recorded sessions stand in.
    sources = pathlib.Path(os.environ.get("PEAT_REFPEER_DIR", "../shared/reference-peer"))
    if os.environ.get("PEAT_REQUIRE_PEERS") == "1" and (sources / "setup.sh").exists():
        raise AssertionError(f"{path} is missing although {sources}/setup.sh could build it")
    raise unittest.SkipTest(f"SKIPPED: no reference peer at {path}; scripts/test --ci builds it")


class Daemon:
    """One peat-mesh-node process."""

    def __init__(self, lab, name, peers=(), arguments=(), env=None, port=0):
        self.lab, self.name = lab, name
        self.data = lab.path / name
        self.peers = list(peers)
        self.arguments = list(arguments)
        self.env = env or {}
        self.port = port
        self.process = None
        self.start()

    def start(self):
        command = [BIN / "peat-mesh-node", "--node-id", self.name, "--data-dir", self.data,
                   "--bind", f"127.0.0.1:{self.port}", "--api", "127.0.0.1:0",
                   "--formation-secret-file", self.lab.secret_file]
        if "--log-level" not in self.arguments:
            command += ["--log-level", "debug"]
        for peer in self.peers:
            command += ["--peer", peer]
        self.launch(command + self.arguments)

    def launch(self, command):
        """Starts it and waits for its line of readiness."""
        log = open(self.lab.path / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=log, env=os.environ | self.env)
        log.close()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.process.stdout.close()
            raise AssertionError(f"{self.name} did not start:\n{self.log()[-3000:]}")
        self.ready = json.loads(line)
        self.id = self.ready["endpoint_id"]
        self.bind = self.ready["bind"]
        self.port = int(self.bind.rsplit(":", 1)[1])
        self.api = urllib.parse.urlsplit(self.ready["api"])

    @property
    def address(self):
        return f"{self.id}@{self.bind}"

    def log(self):
        return (self.lab.path / f"{self.name}.log").read_text(errors="replace")

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection(self.api.hostname, self.api.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, dict(answer.getheaders()), text
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, text = self.request(method, path, body, headers)
        if status >= 300:
            raise AssertionError(f"{self.name}: {method} {path} answered {status}: {text}")
        return json.loads(text) if text else None

    def document_path(self, collection, id):
        return f"/api/v1/documents/{collection}/{urllib.parse.quote(id, safe='')}"

    def put(self, collection, id, document):
        return self.json("PUT", self.document_path(collection, id), document)

    def patch(self, collection, id, document):
        return self.json("PATCH", self.document_path(collection, id), document)

    def delete(self, collection, id):
        status, _, text = self.request("DELETE", self.document_path(collection, id))
        if status >= 300:
            raise AssertionError(f"{self.name}: DELETE answered {status}: {text}")

    def get(self, collection, id):
        status, _, text = self.request("GET", self.document_path(collection, id))
        if status == 404:
            return None
        if status != 200:
            raise AssertionError(f"{self.name}: GET answered {status}: {text}")
        return json.loads(text)["document"]

    def heads(self, collection, id):
        return self.json("GET", self.document_path(collection, id) + "/heads")["heads"]

    def total(self, collection):
        return self.json("GET", f"/api/v1/documents/{collection}?limit=0")["total"]

    def connect(self, id, address, auth=None):
        body = {"id": id, "addr": address} | ({"auth": auth} if auth else {})
        return self.json("POST", "/api/v1/peers", body)

    def disconnect(self, id):
        self.request("DELETE", f"/api/v1/peers/{id}")

    def connected(self):
        return sorted(p["id"] for p in self.json("GET", "/api/v1/peers")["peers"] if p["connected"])

    def metrics(self):
        _, _, text = self.request("GET", "/metrics")
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def memory_kib(self, field="VmRSS"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field}")

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def stop(self, seconds=20):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class RefPeer:
    """The reference implementation as a process, driven by JSON lines."""

    def __init__(self, lab, name, arguments=(), data=True, port=0):
        self.lab, self.name, self.port = lab, name, port
        self.arguments = list(arguments)
        if data:
            (lab.path / name).mkdir(exist_ok=True)
            self.arguments += ["--data", lab.path / name]
        self.start()

    def start(self):
        log = open(self.lab.path / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(
            [require_refpeer(), "--secret", SECRET, "--name", self.name,
             "--bind", f"127.0.0.1:{self.port}", *self.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env=os.environ | {"RUST_LOG": os.environ.get("RUST_LOG", "warn,peat_mesh=debug")})
        log.close()
        self.lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        ready = json.loads(self.lines.get(timeout=30))
        self.id = ready["id"]
        self.bind = next(a for a in ready["addrs"] if a.startswith("127.0.0.1"))
        self.port = int(self.bind.rsplit(":", 1)[1])

    def _read(self, stream):
        for line in stream:
            self.lines.put(line)

    @property
    def address(self):
        return f"{self.id}@{self.bind}"

    def run(self, cmd, timeout=120, **fields):
        self.process.stdin.write(json.dumps({"cmd": cmd} | fields) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.lines.get(timeout=timeout))
        if not answer.pop("ok"):
            raise AssertionError(f"{self.name}: {cmd} {fields}: {answer['error']}")
        return answer

    def put(self, collection, id, document):
        self.run("put", key=f"{collection}:{id}", json=document)

    def get(self, collection, id):
        return self.run("get", key=f"{collection}:{id}")["json"]

    def heads(self, collection, id):
        return self.run("get", key=f"{collection}:{id}").get("heads")

    def memory_kib(self, field="VmRSS"):
        return Daemon.memory_kib(self, field)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait()


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Lab:
    """A temporary directory with processes in it. Use as a context manager."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="peat-lab-"))
        self.secret_file = self.path / "secret"
        self.secret_file.write_text(SECRET + "\n")
        self.secret_file.chmod(0o600)
        self.running = []

    def daemon(self, name, *args, **kwargs):
        process = Daemon(self, name, *args, **kwargs)
        self.running.append(process)
        return process

    def refpeer(self, name, *args, **kwargs):
        process = RefPeer(self, name, *args, **kwargs)
        self.running.append(process)
        return process

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.running:
            if process.process.poll() is None:
                process.kill()
        if kind is not None and not issubclass(kind, unittest.SkipTest):
            for process in self.running:
                log = self.path / f"{process.name}.log"
                print(f"---- {log.name}, last lines\n" + log.read_text(errors="replace")[-4000:])
        shutil.rmtree(self.path, ignore_errors=True)


class LabTest(unittest.TestCase):
    """A test case with a lab of its own."""

    def run(self, result=None):
        with Lab() as lab:
            self.lab = lab
            before = len(result.failures) + len(result.errors) if result else 0
            super().run(result)
            if result and len(result.failures) + len(result.errors) > before:
                for process in lab.running:
                    log = lab.path / f"{process.name}.log"
                    print(f"---- {log.name}, last lines\n{log.read_text(errors='replace')[-3000:]}")
        return result
