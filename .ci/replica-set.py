"""Makes a mongod a replica set of one, if it is none yet; succeeds once it is primary.

The server comes without a shell, so its two commands are spoken here: OP_MSG with BSON.
usage: replica-set.py PORT
"""

import socket
import struct
import sys


def document(pairs):
    body = b""
    for name, value in pairs:
        key = name.encode() + b"\0"
        if isinstance(value, int):
            body += b"\x10" + key + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            body += b"\x02" + key + struct.pack("<i", len(text)) + text
        elif isinstance(value, tuple):
            items = [(str(at), item) for at, item in enumerate(value)]
            body += b"\x04" + key + document(items)
        else:
            body += b"\x03" + key + document(value)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def ask(connection, pairs):
    section = struct.pack("<i", 0) + b"\0" + document([*pairs, ("$db", "admin")])
    connection.sendall(struct.pack("<iiii", len(section) + 16, 1, 0, 2013) + section)
    answer = b""
    while len(answer) < 4 or len(answer) < struct.unpack("<i", answer[:4])[0]:
        part = connection.recv(65536)
        if not part:
            sys.exit("the connection was closed")
        answer += part
    return answer


port = int(sys.argv[1])
with socket.create_connection(("127.0.0.1", port), timeout=5) as server:
    if b"setName\0" not in ask(server, [("hello", 1)]):
        member = [("_id", 0), ("host", f"127.0.0.1:{port}")]
        ask(server, [("replSetInitiate", [("_id", "rs0"), ("members", (member,))])])
    hello = ask(server, [("hello", 1)])
    sys.exit(0 if b"\x08isWritablePrimary\0\x01" in hello else "not yet primary")
