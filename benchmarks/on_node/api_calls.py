"""Calls per second of APIs through two proxies with TLS, and without: runs on a controller.

Reads ``{"front": host, "trust": file, "seconds": n, "rounds": n, "services": [entry]}``, where an entry has
``name``, ``port``, ``path`` and ``token``. Prints for each service ``name``, and the calls per second of each
round under ``tls`` and ``plain``.
"""

import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import time

FIRST_PORT = 21000
FAULTS = 400
CONFIGURATION = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"""
PAIR = """
listen front_{port}
  bind 127.0.0.1:{front}
  server behind 127.0.0.1:{behind}
listen behind_{port}
  bind 127.0.0.1:{behind}
  server here 127.0.0.1:{port}
"""


def rate(connect, path, token, seconds):
    """Calls per second over one connection; anything but an answer of success ends the benchmark."""
    connection = connect()
    headers = {"X-Auth-Token": token, "Accept": "application/json"}
    calls, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= FAULTS:
            sys.exit(f"{path} answers {answer.status}")
        calls += 1
    return calls / (time.monotonic() - begin)


def main():
    """Measure with and without in turn, so that both see the same machine."""
    asked = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=asked["trust"])
    text = CONFIGURATION
    for number, service in enumerate(asked["services"]):
        service["front_port"] = FIRST_PORT + 2 * number
        text += PAIR.format(
            port=service["port"], front=service["front_port"], behind=service["front_port"] + 1
        )
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        proxy = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-q", "-f", file.name])
        try:
            time.sleep(1)
            print(json.dumps([measured(asked, service, context) for service in asked["services"]]))
        finally:
            proxy.terminate()
            proxy.wait()


def measured(asked, service, context):
    def through_tls():
        return http.client.HTTPSConnection(asked["front"], service["port"], context=context, timeout=60)

    def in_clear():
        return http.client.HTTPConnection("127.0.0.1", service["front_port"], timeout=60)

    found = {"name": service["name"], "tls": [], "plain": []}
    for _round in range(asked["rounds"]):
        for kind, connect in (("tls", through_tls), ("plain", in_clear)):
            found[kind].append(rate(connect, service["path"], service["token"], asked["seconds"]))
    return found


main()
