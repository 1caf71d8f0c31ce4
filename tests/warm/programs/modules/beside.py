import sys


def main_name():
    return sys.modules["__main__"].Picklable(1).value
