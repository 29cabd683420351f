"""Put on PYTHONPATH, refuses every look-up and connection that is not of this machine, and writes each down.

AUGREC_TEST_NETWORK is the file; a first line of each process says that it is guarded. Audit hooks see what happens
below `socket.socket`, in child processes too, and cannot be taken away. What native code does by itself they miss.
"""

import os
import sys

WATCHED = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
HERE = ("localhost", "::1", "0.0.0.0", "::")


def _write(line):
    handle = os.open(os.environ["AUGREC_TEST_NETWORK"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def _host(event, arguments):
    """The host that is meant; None for the sockets of files and for none at all."""
    if event.startswith("socket.get"):
        return arguments[0]
    address = arguments[1]
    return address[0] if isinstance(address, tuple) else None


def _guard(event, arguments):
    if event not in WATCHED:
        return
    host = _host(event, arguments)
    host = host.decode() if isinstance(host, bytes) else host
    if not host or host in HERE or host.startswith("127."):
        return
    _write(f"{event} {host} pid {os.getpid()} {sys.argv[0]}")
    raise OSError(101, f"the test refuses the network: {event} {host}")


if "AUGREC_TEST_NETWORK" in os.environ:
    _write(f"guarded {os.getpid()}")
    sys.addaudithook(_guard)
