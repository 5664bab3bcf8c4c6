#!/usr/bin/env python3
"""An SMB client that talks to a named pipe on this machine and checks every byte of every answer.

    pipe_client.py --port PORT [--user NAME --password WORD] PIPE COMMAND [ARGUMENT]...

    echo COUNT SIZE[,SIZE...]   write a message and read it back, COUNT times for each size
    stream COUNT SIZE[,...]     the same where an answer may come in pieces (byte mode)
    transact COUNT SIZE[,...]   write and read in one call (FSCTL_PIPE_TRANSCEIVE)
    open COUNT                  open and close
    ask TEXT                    write TEXT, print the answer
    refused                     fail to open, print the status
    orphaned                    open, say "open", and wait for a line; then print the status of a write
                                and a read, and of opening again

--clients K runs K connections at the same time. Prints "ok N", or what went wrong with status 1.
Without --user it is anonymous. Needs the Python package impacket.
"""

import argparse
import sys
import threading

from impacket import smb3, smb3structs
from impacket.smbconnection import SMBConnection

PIPE_TRANSCEIVE = 0x0011C017
BUFFER_OVERFLOW = 0x80000005
LONGEST_READ = 65536


class Mismatch(Exception):
    """An answer is not what was sent."""


def message(client, number, size):
    """Bytes that differ from those of any other message nearby, wherever one looks."""
    start = client * 7919 + number * 104729 + size
    return bytes((start + 31 * at + (at >> 8)) & 0xFF for at in range(size))


class Pipe:
    """One open of the pipe on a connection of its own."""

    def __init__(self, options):
        self.smb = SMBConnection("127.0.0.1", "127.0.0.1", sess_port=options.port, timeout=60,
                                 preferredDialect=options.dialect)
        self.smb.login(options.user, options.password)
        self.tree = self.smb.connectTree("IPC$")
        self.name = options.pipe
        self.server = self.smb.getSMBServer()

    def open(self):
        self.handle = self.smb.openFile(self.tree, self.name)

    def close(self):
        self.smb.closeFile(self.tree, self.handle)

    def read(self, most=LONGEST_READ):
        return self.server.read(self.tree, self.handle, 0, most, False)

    def write(self, data):
        self.smb.writeFile(self.tree, self.handle, data)

    def echo(self, data):
        self.write(data)
        return self.read()

    def stream(self, data):
        self.write(data)
        answer = b""
        while len(answer) < len(data):
            more = self.read(len(data) - len(answer))
            if not more:
                break
            answer += more
        return answer

    def transact(self, data):
        """The answer is longer than the first read when its length is odd: the rest is read."""
        most = len(data) - 1 if len(data) % 2 and len(data) > 1 else LONGEST_READ
        try:
            return self.server.ioctl(self.tree, self.handle, PIPE_TRANSCEIVE, flags=1,
                                     inputBlob=data, maxInputResponse=0, maxOutputResponse=most)
        except smb3.SessionError as error:
            if error.get_error_code() != BUFFER_OVERFLOW:
                raise
            packet = smb3structs.SMB2Ioctl_Response(error.get_error_packet()["Data"])
            return packet["Buffer"] + self.read()


def exchange(options, client, way):
    pipe = Pipe(options)
    pipe.open()
    count, sizes = int(options.arguments[0]), options.arguments[1].split(",")
    done = 0
    for size in map(int, sizes):
        for number in range(count):
            sent = message(client, number, size)
            answer = getattr(pipe, way)(sent)
            if answer != sent:
                raise Mismatch("client %d, message %d of %d bytes: %d bytes came back, equal: %s"
                               % (client, number, size, len(answer), answer == sent[:len(answer)]))
            done += 1
    pipe.close()
    pipe.smb.close()
    return done


def open_and_close(options):
    pipe = Pipe(options)
    for _ in range(int(options.arguments[0])):
        pipe.open()
        pipe.close()
    return int(options.arguments[0])


def status_of(action):
    """The status that an action fails with, or the word "done"."""
    try:
        action()
    except Exception as error:  # impacket has several types for the same thing
        for name in ("getErrorCode", "get_error_code"):
            if hasattr(error, name):
                return "0x%08x" % getattr(error, name)()
        raise
    return "done"


def orphaned(options):
    pipe = Pipe(options)
    pipe.open()
    print("open", flush=True)
    sys.stdin.readline()
    print(status_of(pipe.read), status_of(lambda: pipe.write(b"x")), status_of(pipe.open), flush=True)


def in_parallel(options):
    results, failures = [], []

    def run(client):
        try:
            results.append(exchange(options, client, options.command))
        except Exception as error:
            failures.append("%s: %s" % (type(error).__name__, error))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Mismatch("; ".join(failures[:3]))
    return sum(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--dialect", type=lambda text: int(text, 0), help="0x0210 does not encrypt")
    parser.add_argument("pipe")
    parser.add_argument("command", choices="echo stream transact open ask refused orphaned".split())
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if options.command == "open":
        print("ok", open_and_close(options))
    elif options.command == "ask":
        pipe = Pipe(options)
        pipe.open()
        print(pipe.echo(options.arguments[0].encode()).decode())
    elif options.command == "refused":
        print(status_of(Pipe(options).open))
    elif options.command == "orphaned":
        orphaned(options)
    else:
        print("ok", in_parallel(options))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print("%s: %s" % (type(error).__name__, error))
        sys.exit(1)
