"""Bazel's HTTP cache protocol: `http_cache.py PORT DIRECTORY` serves GET, HEAD and PUT of `/ac/…` and `/cas/…`."""

import http.server
import os
import sys
import tempfile


class Cache(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self, status, body=b"", with_body=True):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _path(self):
        return os.path.join(sys.argv[2], *self.path.strip("/").split("/"))

    def do_GET(self, with_body=True):
        try:
            with open(self._path(), "rb") as file:
                body = file.read()
        except FileNotFoundError:
            return self._answer(404)
        self._answer(200, body, with_body)

    def do_HEAD(self):
        self.do_GET(with_body=False)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        os.makedirs(os.path.dirname(self._path()), exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=sys.argv[2], delete=False) as file:
            file.write(body)
        os.replace(file.name, self._path())
        self._answer(200)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    # Bazel opens a hundred connections at once, and takes a refused one for a miss.
    request_queue_size = 256


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Cache).serve_forever()
