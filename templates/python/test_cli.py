"""Runs the program as the server does."""

import pathlib
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).with_name("cli.py")


def run(*words):
    return subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, text=True)


class Hello(unittest.TestCase):
    def test_greets_as_often_as_it_is_told(self):
        done = run("hello", "--name", "Ada", "--times", "2")
        self.assertEqual(done.stdout, "Hello, Ada!\nHello, Ada!\n")
        self.assertEqual(done.returncode, 0)

    def test_fails_without_a_name(self):
        done = run("hello")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--name", done.stderr)


if __name__ == "__main__":
    unittest.main()
