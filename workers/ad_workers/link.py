"""One end of the line between a supervisor and its child: messages over a stream socket."""

import select
import socket
import threading

from ad_workers.messages import decode, encode


class Link:
    """Sends and receives messages; `closed` once nothing can be sent any more, or nothing will come."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._sending = threading.Lock()  # lines of two threads must not mix
        self._received = b""
        self._mute = False  # nothing can be sent any more
        self._over = False  # nothing will come any more

    @property
    def closed(self) -> bool:
        """Whether the other end is gone, or does not listen; what it sent before can still be received."""
        return self._mute or self._over

    def send(self, message: object, timeout: float = 5.0) -> None:
        """Send a message, waiting at most `timeout` seconds for room; a gone receiver sets `closed`."""
        with self._sending:
            rest = memoryview(encode(message))
            while rest and not self.closed:
                try:
                    rest = rest[self._end.send(rest) :]
                except BlockingIOError:
                    if not select.select([], [self._end], [], timeout)[1]:
                        self._mute = True  # half a message was sent: the stream cannot be mended
                except OSError:
                    self._mute = True  # its last words may still lie here

    def receive(self, timeout: float = 0.0) -> list[object]:
        """Return what has arrived, waiting up to `timeout` seconds for the first byte."""
        if self._over or not select.select([self._end], [], [], timeout)[0]:
            return []
        self._read_all()
        *lines, self._received = self._received.split(b"\n")
        return [decode(line) for line in lines]

    def _read_all(self) -> None:
        while not self._over:
            try:
                chunk = self._end.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._over = True
            self._received += chunk

    def close(self) -> None:
        """Close this end."""
        self._mute = self._over = True
        self._end.close()
