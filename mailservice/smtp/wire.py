"""A non-blocking socket, with TLS or without."""

import errno
import ipaddress
import os
import socket
import ssl

from .flight import Outgoing
from .resolving import Address

_READ = 64 * 1024
_WRITE = 256 * 1024  # more than the exchange ever has waiting, but for a single large letter
_RECORD = 16 * 1024  # one TLS record


class Wire:
    """What the kernel says, in three ways: done, would block (None or False), or OSError."""

    def __init__(self, address: Address) -> None:
        """Begin to connect; finish with connected()."""
        family, where = address
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self._tls: ssl.SSLSocket | None = None
        self._record = b""  # TLS: what must be offered again, unchanged, after "would block"
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = self.socket.connect_ex(where)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        except OSError:
            self.socket.close()
            raise

    def connected(self) -> None:
        """After the socket became writable: raise what went wrong with connecting."""
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    @property
    def private(self) -> bool:
        """Whether nobody on a network can listen: TLS, or a peer on this machine."""
        if self._tls is not None:
            return True
        peer = self.socket.getpeername()[0]
        return ipaddress.ip_address(str(peer).partition("%")[0]).is_loopback

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on; handshake() comes next."""
        self._tls = context.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
        self.socket = self._tls

    def handshake(self) -> bool | None:
        """None when done, else whether it waits to write (True) or to read (False)."""
        if self._tls is None:
            raise AssertionError("encrypt() comes before handshake()")
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            return True
        return None

    def read(self) -> bytes | None:
        """What came; b"" when the server closed, None when there is nothing now."""
        try:
            data = self.socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        if self._tls is not None:  # what TLS has decrypted already, no selector tells of
            while data and self._tls.pending():
                data += self._tls.recv(_READ)
        return data

    def write(self, outgoing: Outgoing) -> int:
        """Hand over what the kernel takes now, and say how many octets that were."""
        try:
            if self._tls is not None:
                return self._write_record(outgoing)
            buffers = outgoing.buffers(_WRITE)
            return self.socket.sendmsg(buffers) if len(buffers) > 1 else self.socket.send(buffers[0])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _write_record(self, outgoing: Outgoing) -> int:
        # One record a call: of several, some may have left when OpenSSL says "would block", and a letter that
        # the server has would count as not sent. A part of one record is worth nothing to the server.
        if not self._record:
            self._record = b"".join(outgoing.buffers(_RECORD))[:_RECORD]
            outgoing.touch(len(self._record))
        count = self.socket.send(self._record)
        if count != len(self._record):
            raise OSError(errno.EIO, "TLS took a part of a record")
        self._record = b""
        return count

    def close(self) -> None:
        """Close at once; what is in the kernel's buffer still goes out."""
        self.socket.close()


def words(error: OSError) -> str:
    """What went wrong, for a person, without the number."""
    return (error.strerror or str(error)).lower()
