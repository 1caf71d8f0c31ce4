"""Where files and modules come from: Python, an installed distribution, the system, or else."""

import os
import sys

IMPORTLIB = "<frozen importlib"

# Read by native libraries when they are loaded, without the interpreter.
READ_BY_LIBRARIES = (
    b"OMP_ OPENBLAS_ MKL_ GOTO_ BLIS_ NPY_ NUMPY_ NUMEXPR_ VECLIB_ KMP_ OPENSSL_ SSL_ RUST_ RAYON_ TOKIO_ "
    b"ARROW_ POLARS_ CUDA_ TF_ TORCH_ GRPC_ XML_ ICU_ TZDIR GDAL_ PROJ_ QT_"
).split()


def with_parents(name):
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def origin_of(module):
    """Where a module comes from: a path, `built-in` or `frozen`. A package without a file has none."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if not isinstance(origin, str):
        # What a module has put in its own place often has its file, and no more.
        origin = getattr(module, "__file__", None)
    return origin if isinstance(origin, str) else ""


def is_installed(file):
    return (os.sep + "site-packages" + os.sep) in file or (os.sep + "dist-packages" + os.sep) in file


def is_standard(file):
    return real(file).startswith(STANDARD)


class Quiet:
    """While it is entered, paths are asked for by these files themselves, and by no module."""

    depth = 0

    def __enter__(self):
        self.depth += 1

    def __exit__(self, *_):
        self.depth -= 1


quiet = Quiet()


def real(path):
    with quiet:
        return os.path.realpath(path)


def exists(path):
    with quiet:
        return os.path.exists(path)


# What the system makes itself.
ALWAYS_THERE = ("/proc/", "/sys/", "/dev/")
STANDARD = tuple(
    {os.path.realpath(os.path.dirname(os.__file__)) + os.sep}
    | {entry + os.sep for entry in sys.path if os.path.basename(entry) == "lib-dynload"}
)
