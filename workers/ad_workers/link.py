"""One end of the line between a supervisor and its child: messages over a stream socket."""

import select
import socket

from ad_workers.messages import decode, encode


class Link:
    """Sends and receives messages; `closed` once the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._received = b""
        self.closed = False

    def send(self, message: object, timeout: float = 5.0) -> None:
        """Send a message, waiting at most `timeout` seconds for room; a gone receiver sets `closed`."""
        rest = memoryview(encode(message))
        while rest and not self.closed:
            try:
                rest = rest[self._end.send(rest) :]
            except BlockingIOError:
                if not select.select([], [self._end], [], timeout)[1]:
                    self.closed = True  # half a message was sent: the stream cannot be mended
            except OSError:
                self.closed = True

    def receive(self, timeout: float = 0.0) -> list[object]:
        """Return what has arrived, waiting up to `timeout` seconds for the first byte."""
        if self.closed or not select.select([self._end], [], [], timeout)[0]:
            return []
        self._read_all()
        *lines, self._received = self._received.split(b"\n")
        return [decode(line) for line in lines]

    def _read_all(self) -> None:
        while not self.closed:
            try:
                chunk = self._end.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self.closed = True
            self._received += chunk

    def close(self) -> None:
        """Close this end."""
        self.closed = True
        self._end.close()
