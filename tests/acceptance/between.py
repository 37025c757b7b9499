"""What may stand between a machine and its workspace: a company's HTTP proxy, a server with a certificate of its own authority, and
servers that are no workspace at all. Threads, loopback, Python's standard library and the openssl command."""

import socket
import ssl
import subprocess
import threading


class Server:
    """Accepts on a loopback port; `serve(connection)` runs in a thread for each connection."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                connection.settimeout(30)
                self.serve(connection)
            except OSError:
                pass  # the other side has left, which is its right

    def serve(self, connection):
        raise NotImplementedError

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def head_of(connection):
    """A request's first lines, up to and with the empty one."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("ended early")
        text += piece
    return text


def pass_on(one, other):
    """Both ways until either side ends."""

    def copy(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join(30)


class Answering(Server):
    """The same bytes for every request."""

    def __init__(self, answer):
        self.answer = answer
        super().__init__()

    def serve(self, connection):
        head_of(connection)
        connection.sendall(self.answer)


class Greeting(Server):
    """Speaks first, and no HTTP: what an SSH server does."""

    def serve(self, connection):
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        head_of(connection)
        connection.sendall(b"Invalid SSH identification string.\r\n")


class Proxy(Server):
    """An HTTP proxy: CONNECT to any host ends at the port `to`; `refusal` is a whole answer instead."""

    def __init__(self, to=None, refusal=None):
        self.to, self.refusal, self.asked = to, refusal, []
        super().__init__()

    def serve(self, connection):
        self.asked.append(head_of(connection).split(b"\r\n")[0].decode())
        if self.refusal:
            connection.sendall(self.refusal)
            return
        with socket.create_connection(("127.0.0.1", self.to), timeout=30) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pass_on(connection, onward)


class Tls(Server):
    """Speaks TLS with the authority's certificate, and passes the plain text on to the port `to`."""

    def __init__(self, authority, to, port=0):
        self.to = to
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.chain, authority.key)
        super().__init__(port)

    def serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as inside:
            with socket.create_connection(("127.0.0.1", self.to), timeout=30) as onward:
                pass_on(inside, onward)


class Authority:
    """A certificate authority of nobody's, and one server certificate of it (`names`: "DNS:host" or "IP:address")."""

    def __init__(self, folder, *names):
        folder.mkdir()
        self.bundle, self.chain, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"

        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder, timeout=60)

        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", self.bundle, "-subj", "/CN=Company CA", "-days", "2")
        openssl("req", *new_key, "-keyout", self.key, "-out", "server.csr", "-subj", "/CN=workspace")
        (folder / "extensions").write_text("subjectAltName=" + ",".join(names) + "\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", self.bundle, "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", self.chain)
