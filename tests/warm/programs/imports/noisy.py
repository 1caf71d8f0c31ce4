"""Does while it is imported what should be done later."""
import os
import sys

if sys.argv[1:] != ["--describe"]:
    print("noisy is imported by", sys.argv[1:])
COUNT = os.environ.setdefault("NOISY_COUNT", "0")
os.environ["NOISY_COUNT"] = str(int(COUNT) + 1)
with open(__file__) as file:
    TEXT = file.readline().strip()
MAIN = sys.modules["__main__"].__dict__.get("__name__")
ARGUMENTS = list(sys.argv)
DIRECTORY = os.getcwd()
