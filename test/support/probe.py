# Tries many targets at once from where it runs, and prints which answered: JSON in as argument, JSON out.
import json, socket, ssl, sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 3


def http(stream, host):
    stream.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    answer = stream.recv(4096)
    # A gateway's own page says that it refuses.
    return answer.startswith(b"HTTP/1.") and b"<html><body><h1>" not in answer


def tcp(host, port, name=None):
    with socket.create_connection((host, port), SECONDS) as stream:
        return http(stream, name or host)


def tls(host, port, *name):
    # No name said is the host's own, null is none at all.
    name = name[0] if name else host
    context = ssl._create_unverified_context()
    with socket.create_connection((host, port), SECONDS) as stream:
        with context.wrap_socket(stream, server_hostname=name) as secure:
            return http(secure, name or host)


def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        sock.sendto(b"echo", (host, port))
        return sock.recv(16) == b"echo"


def dns(server, host):
    question = b"".join(bytes([len(part)]) + part.encode() for part in host.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        head = bytes([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        sock.sendto(head + question + bytes([0, 0, 1, 0, 1]), (server, 53))
        return sock.recv(512)[3] & 15 == 0


def connect(host, port, name):
    with socket.create_connection((host, port), SECONDS) as stream:
        stream.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        return b" 200 " in stream.recv(4096)


def name(host):
    return bool(socket.getaddrinfo(host, 80, socket.AF_INET))


def attempt(target):
    kind, *args = target
    try:
        return bool(globals()[kind](*args))
    except OSError:
        return False


targets = json.loads(sys.argv[1])
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(attempt, targets))))
