#!/usr/bin/env python3
"""Talks to itself over sockets."""
import http.client
import http.server
import os
import select
import selectors
import socket
import socketserver
import ssl
import sys
import threading
import urllib.error
import urllib.request


def served():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def case_fetched():
    server = served()
    with urllib.request.urlopen("http://127.0.0.1:%d/words" % server.server_port) as answer:
        print(answer.read(), answer.status)
    server.shutdown()


def case_left_serving():
    server = served()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", "/left")
    print(connection.getresponse().read())


def case_proxies():
    os.environ["http_proxy"], os.environ["no_proxy"] = "http://127.0.0.1:9", "localhost"
    print(urllib.request.getproxies(), urllib.request.proxy_bypass("localhost"))
    try:
        urllib.request.urlopen("http://example.invalid/", timeout=5)
    except urllib.error.URLError as fault:
        print(type(fault.reason).__name__)


def case_proxies_given():
    print(urllib.request.getproxies())


def case_opener():
    print(urllib.request._opener, socket.getdefaulttimeout())


def case_pair():
    one, other = socket.socketpair()
    one.sendall(b"words")
    print(other.recv(10), one.get_inheritable(), one.gettimeout())


def case_pair_across_fork():
    one, other = socket.socketpair()
    if os.fork() == 0:
        other.sendall(b"from the child")
        os._exit(0)
    os.wait()
    print(one.recv(100))


def case_selected():
    with selectors.DefaultSelector() as selector:
        one, other = socket.socketpair()
        selector.register(other, selectors.EVENT_READ)
        one.send(b"x")
        print(type(selector).__name__, len(selector.select(5)))


def case_polled_across_fork():
    poll = select.epoll()
    read, write = os.pipe()
    poll.register(read, select.EPOLLIN)
    if os.fork() == 0:
        os.write(write, b"x")
        os._exit(0)
    os.wait()
    print(len(poll.poll(5)))


def case_names():
    print(sorted({entry[4][0] for entry in socket.getaddrinfo("127.0.0.1", 80)}), socket.gethostname() != "")


def case_refused():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5)


def case_encrypted():
    context = ssl.create_default_context()
    print(context.verify_mode, context.check_hostname, context.minimum_version, ssl.OPENSSL_VERSION)
    print(ssl.get_default_verify_paths())


def case_certificates_named():
    os.environ["SSL_CERT_FILE"] = "/nowhere"
    print(ssl.get_default_verify_paths().cafile, len(ssl.create_default_context().get_ca_certs()))


def case_certificates_given():
    print(ssl.get_default_verify_paths().cafile)


def case_broken_pipe():
    one, other = socket.socketpair()
    other.close()
    one.send(b"x")


def case_server_in_process():
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(self.rfile.readline().upper())

    with socketserver.ForkingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        with socket.create_connection(server.server_address, 10) as client:
            client.sendall(b"words\n")
            print(client.makefile().read())


def case_descriptor_sent():
    one, other = socket.socketpair(socket.AF_UNIX)
    read, write = os.pipe()
    socket.send_fds(one, [b"x"], [write]) if hasattr(socket, "send_fds") else os.write(write, b"sent")
    if hasattr(socket, "recv_fds"):
        os.write(socket.recv_fds(other, 1, 1)[1][0], b"sent")
    print(os.read(read, 10))


def case_timeout():
    socket.setdefaulttimeout(0.01)
    one, _ = socket.socketpair()
    print(one.gettimeout())
    one.recv(1)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
