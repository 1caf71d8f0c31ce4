#!/usr/bin/env python3
"""Signs, encrypts and checks with cryptography."""
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


def use():
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signature = key.sign(b"words")
    print(signature.hex(), key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex())
    try:
        key.public_key().verify(signature, b"other words")
    except InvalidSignature as fault:
        print(type(fault).__name__)
    code = hmac.HMAC(b"k" * 32, hashes.SHA256())
    code.update(b"words")
    box = Fernet(b"A" * 43 + b"=")
    print(code.finalize().hex(), box.decrypt(box.encrypt(b"x")))


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
