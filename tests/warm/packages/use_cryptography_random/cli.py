#!/usr/bin/env python3
"""Makes keys with cryptography; no two runs may make the same."""
import sys

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec


def use():
    print(Fernet.generate_key(), ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
