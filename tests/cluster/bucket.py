"""A bucket that speaks S3, on this machine: moto's server, in a process of its own, that can fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

# What clients of the bucket need: some key, and not to ask Amazon for another.
ACCESS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Bucket:
    """A bucket named `huetune`; as a context. Its content lives as long as the process does.

    Args:
        log: a file for what the server says.
        address: where it listens.
        port: where it listens.
    """

    def __init__(self, log: Path, address: str = "127.0.0.1", port: int = 5055) -> None:
        self.endpoint = f"http://{address}:{port}"
        self._log, self._listen = log, ("-H", address, "-p", str(port))

    def __enter__(self) -> Bucket:
        """Start the server and make the bucket."""
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "moto.server", *self._listen], stdout=log, stderr=log, env=os.environ | ACCESS
            )
        end = time.monotonic() + 60
        while True:
            try:
                urlopen(Request(f"{self.endpoint}/huetune", method="PUT"), timeout=10).close()
                return self
            except URLError as fault:
                if self._server.poll() is not None or time.monotonic() > end:
                    self.__exit__(None, None, None)
                    raise RuntimeError(f"No bucket at {self.endpoint}: {fault}. {self._log.read_text()}") from None
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server."""
        self._server.kill()
        self._server.wait()

    def uri(self, path: str) -> str:
        """A path in the bucket as an address for Ray, pyarrow and huetune."""
        return f"s3://huetune/{path}?endpoint_override={quote(self.endpoint, safe='')}&scheme=http"

    def fall_silent(self) -> None:
        """From now on it takes requests and answers none."""
        self._server.send_signal(signal.SIGSTOP)

    def speak_again(self) -> None:
        """It answers again, those that still wait too."""
        self._server.send_signal(signal.SIGCONT)
