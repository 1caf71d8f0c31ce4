#!/usr/bin/env python3
"""Draws from numpy's global generator; no two runs may draw the same."""
import sys

import numpy as np


def use():
    print(np.random.rand(4), np.random.default_rng().random(2), np.random.get_state()[1][:3])


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
