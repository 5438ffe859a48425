"""A file over a plain TLS socket, the floor of a download: `python -m benchmarks.plain_tls FILE CRT KEY CA`.

The server reads and calls `sendall`; whoever connects with a certificate gets the file. It prints its port.
"""

import socket
import ssl
import sys
from pathlib import Path

BUFFER = 1024**2  # bytes read, or received, at a time


def serve(file: Path, certificate: Path, key: Path, clients: Path) -> None:
    """Serve the file to one client after another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(clients)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            raw, _ = listener.accept()
            with context.wrap_socket(raw, server_side=True) as connection, file.open("rb", buffering=0) as source:
                while data := source.read(BUFFER):
                    connection.sendall(data)


def receive(port: int, context: ssl.SSLContext, out: Path) -> None:
    """Write what the server sends to a file."""
    with socket.create_connection(("127.0.0.1", port)) as raw, out.open("wb") as file:
        buffer = memoryview(bytearray(BUFFER))
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            while count := connection.recv_into(buffer):
                file.write(buffer[:count])


if __name__ == "__main__":
    serve(*map(Path, sys.argv[1:]))
