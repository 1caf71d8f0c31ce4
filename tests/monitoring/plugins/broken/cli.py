"""Describes itself against the contract, so it is not served."""

import sys

if sys.argv[1:] == ["--describe"]:
    print('{"contract_version": "1.1", "commands": "none"}')
    sys.exit()
sys.exit("not served")
