"""Hands baggage on to where it is told, as OpenTelemetry's API for Python reads and writes it. Prints its port."""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.baggage.propagation import W3CBaggagePropagator

NEXT = sys.argv[1]


class Relay(BaseHTTPRequestHandler):
    def do_GET(self):
        propagator = W3CBaggagePropagator()
        context = propagator.extract({"baggage": self.headers.get_all("baggage") or []})
        headers = {}
        propagator.inject(headers, context=context)
        with urllib.request.urlopen(urllib.request.Request(NEXT, headers=headers), timeout=60) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
print(server.server_address[1], flush=True)
server.serve_forever()
