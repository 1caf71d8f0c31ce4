#!/usr/bin/env python3
"""Draws what no two runs of a program draw alike."""
import os
import random
import secrets
import ssl
import sys
import tempfile
import uuid


def case_random():
    print(random.random(), random.getstate()[1][:3])


def case_system_random():
    print(random.SystemRandom().random(), os.urandom(8), secrets.token_hex())


def case_new_generator():
    print(random.Random().random())


def case_uuid1():
    print(uuid.uuid1())


def case_uuid4():
    print(uuid.uuid4())


def case_ssl():
    print(ssl.RAND_bytes(16))


def case_temporary_name():
    print(tempfile.mktemp(), next(tempfile._get_candidate_names()))


def case_authentication_key():
    import multiprocessing

    print(bytes(multiprocessing.current_process().authkey))


def case_hash_of_word():
    print(hash("word"))


def case_process():
    print(os.getpid())


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
