#!/usr/bin/env python3
"""Computes with numpy."""
import sys

import numpy as np


def use():
    matrix = np.arange(12, dtype=float).reshape(3, 4)
    print(matrix @ matrix.T, np.linalg.svd(matrix)[1].round(6), np.fft.fft([1, 2, 3]).round(6))
    print(np.random.default_rng(1).integers(0, 100, 5), np.geterr(), np.get_printoptions()["precision"])
    with np.errstate(divide="warn"):
        print(np.array([1.0]) / 0)
    print(np.array([1.0]) / 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
